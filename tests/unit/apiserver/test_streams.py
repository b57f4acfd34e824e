import pytest
from multidict import MultiDict

from minikube.api.core_v1 import Pod
from minikube.api.meta import from_dict
from minikube.apiserver.streams import chosen_container, flag, log_options, log_problems
from minikube.errors import BadRequest


def pod(*containers: str) -> Pod:
    return from_dict(
        Pod,
        {
            "metadata": {"name": "p"},
            "spec": {
                "initContainers": [{"name": "init", "image": "i"}],
                "containers": [{"name": name, "image": "i"} for name in containers],
            },
        },
    )


def test_the_only_container_needs_no_name() -> None:
    assert chosen_container(pod("a"), "") == "a"
    assert chosen_container(pod("a"), "init") == "init"


def test_among_several_one_has_to_be_named() -> None:
    with pytest.raises(
        BadRequest, match=r"a container name must be specified for pod p, choose one of: \[init a b\]"
    ):
        chosen_container(pod("a", "b"), "")
    with pytest.raises(BadRequest, match="container c is not valid for pod p"):
        chosen_container(pod("a", "b"), "c")


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_flags_are_read_as_go_does(text: str, expected: bool) -> None:
    assert flag(MultiDict({"follow": text}), "follow") is expected
    assert not flag(MultiDict(), "follow")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"limitBytes": "0"}, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ({"stream": "x"}, 'stream: Unsupported value: "x": supported values: "All", "Stderr", "Stdout"'),
    ],
)
def test_bad_log_options_are_refused(query: dict[str, str], problem: str) -> None:
    assert [str(each) for each in log_problems(log_options(MultiDict(query)))] == [problem]


def test_good_log_options_reach_the_kubelet() -> None:
    query = MultiDict({"follow": "true", "previous": "false", "tailLines": "5", "container": "c"})
    assert log_options(query) == {"follow": "true", "tailLines": "5", "container": "c"}
    assert list(log_problems(log_options(query))) == []
    with pytest.raises(BadRequest, match='parsing "x": invalid syntax'):
        log_options(MultiDict({"tailLines": "x"}))
