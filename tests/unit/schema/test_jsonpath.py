"""What printer columns and field selectors find."""

import pytest

from minikube.schema.jsonpath import JsonPathError, find, parse

OBJ = {
    "spec": {"hosts": ["a", "b", "c"], "ports": [{"port": 1}, {"port": 2}], "n": 3},
    "metadata": {"labels": {"a.b/c": "x"}},
    "status": {"conditions": [{"type": "Old", "status": "False"}, {"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.n", [3]),
        ("{.spec.n}", [3]),
        ("$.spec.n", [3]),
        ("spec.n", [3]),
        (".spec.missing.more", []),
        (".metadata.labels['a.b/c']", ["x"]),
        (r".metadata.labels.a\.b/c", ["x"]),
        (".spec.hosts[0]", ["a"]),
        (".spec.hosts[-1]", ["c"]),
        (".spec.hosts[7]", []),
        (".spec.hosts[0:2]", ["a", "b"]),
        (".spec.ports[*].port", [1, 2]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type == 'Gone')].status", []),
        (".spec.ports[?(@.port > 1)].port", [2]),
        (".spec.ports[?(@.port)].port", [1, 2]),
        ('.spec.ports[?(@.port < "x")].port', []),
        (".", [OBJ]),
    ],
)
def test_a_path_leads_to(path: str, found: list[object]):
    assert find(OBJ, path) == found


@pytest.mark.parametrize("path", [".spec[", ".spec[x]", ".a..b", ".a.", "a(b)", ".a[?(@.b == c)]"])
def test_a_path_that_cannot_be_read_is_refused(path: str):
    with pytest.raises(JsonPathError):
        parse(path)
