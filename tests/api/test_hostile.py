"""Hostile input: whatever is sent, the answer is a Status below 500, and nothing half is stored.

`corpus/hostile.json` keeps what once went wrong; hypothesis looks for more. HOSTILE_EXAMPLES says how long.
"""

from __future__ import annotations

import copy
import json
import os
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minikube.resources.base import Kind
from tests.api.conftest import Cluster
from tests.api.kinds import SERVED, manifest
from tests.api.raw import APPLY, Http

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "40"))
CORPUS = json.loads((Path(__file__).parent / "corpus" / "hostile.json").read_text())
THOROUGH = settings(
    max_examples=EXAMPLES, deadline=None, derandomize="HOSTILE_EXAMPLES" not in os.environ, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
PATCH_TYPES = (
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", APPLY,
)  # fmt: skip
NASTY: list[Any] = [
    None, True, 0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 1.5, 1e308, "", " ", "\x00", "é", "🦆" * 70, "a" * 300,
    "../..", "-", "a/b/c", "1e400", "-1", "9" * 40, "1Ki1", "999999999999999999999Ei", "0x10",
    "2026-99-99T00:00:00Z", "9999-12-31T23:59:59Z", "0000-00-00", "+", "=", ",", "%",
    [], {}, [None], [[]], [{}], {"": {}}, {"": None},
    {"a": {"a": {"a": []}}}, ["a"] * 50, "TRUE",
    [{"name": "a"}, {"name": "a"}], {"$patch": "delete"}, {"$patch": "nonsense"},
    [{"$patch": "replace"}], {"$setElementOrder/x": 1}, {"$retainKeys": 5}, {"$deleteFromPrimitiveList/x": {}},
]  # fmt: skip
PARAMETERS = (
    "labelSelector", "fieldSelector", "continue", "limit", "resourceVersion", "timeoutSeconds",
    "resourceVersionMatch", "dryRun", "fieldManager", "fieldValidation", "pretty", "watch",
)  # fmt: skip
QUERIES = (
    "=", "a=b=c", "a in (", "!!a", "a notin ()", "metadata.name==", "-1", "1e9", "a" * 5000,
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIifQ",
)  # fmt: skip
values = st.one_of(st.sampled_from(NASTY), st.text(max_size=8), st.integers(), st.floats(allow_nan=False))
trees = st.recursive(
    values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


@pytest.fixture(scope="module")
def http(shared: Cluster) -> Http:
    return Http(shared.kubeconfig)


def collection(kind: Kind) -> str:
    resource = kind.resource
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    return f"{root}{'/namespaces/default' if resource.namespaced else ''}/{resource.plural}"


def check(http: Http, method: str, path: str, body: bytes | None = None, type: str = "application/json") -> int:
    answer = http.ask(method, path, body, type=type)
    assert answer.code < 500, (method, path, body, answer.body[:1000])
    if answer.code >= 400:
        assert answer.json["kind"] == "Status", (method, path, body)
        assert answer.json["reason"], (method, path, body)
    return answer.code


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a tree."""
    found = [path] if path else []
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, sub in inner:
        found += places(sub, (*path, step))
    return found


def broken(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    out = copy.deepcopy(tree)
    place = out
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return out


def at_path(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def alike(value: Any) -> st.SearchStrategy[Any]:
    """Bad values of the same type: they get past the decoder, to the rules."""
    if isinstance(value, dict) and value:
        return st.sampled_from([{name: sub for name, sub in value.items() if name != gone} for gone in value])
    if isinstance(value, list):
        return st.sampled_from([[], value + value])
    return st.sampled_from([one for one in NASTY if type(one) is type(value)] or [None])


@st.composite
def mutants(draw: st.DrawFn) -> tuple[Kind, Any]:
    """A valid object with one or two values gone bad."""
    kind = draw(st.sampled_from(SERVED))
    obj = manifest(kind, 7, "default")
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.sampled_from(places(obj)))
        obj = broken(obj, at, draw(alike(at_path(obj, at)) | values | trees))
        if not isinstance(obj.get("metadata"), dict):
            break
    return kind, obj


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["why"])
def test_what_once_went_wrong_is_answered_well(http: Http, case: dict[str, Any]):
    body = (
        case["raw"].encode("latin-1")
        if "raw" in case
        else json.dumps(case["body"]).encode()
        if "body" in case
        else None
    )
    assert check(http, case["method"], case["path"], body, case.get("type", "application/json")) == case["code"]


def test_bodies_nested_too_deeply_are_refused(http: Http):
    for text in (b'{"a":' * 100_000, b"[" * 1_000_000, b'{"metadata":' + b"[" * 150 + b"]" * 150 + b"}"):
        assert check(http, "POST", "/api/v1/namespaces/default/configmaps", text) == 400
        assert check(http, "POST", "/api/v1/namespaces/default/configmaps", text, "application/yaml") == 400


def test_what_is_no_http_is_refused_and_told_in_a_line(shared: Cluster):
    known = len(shared.log.read_bytes())
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", shared.port)) as raw, context.wrap_socket(raw) as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n")
        assert b" 400 " in tls.recv(4096).partition(b"\r\n")[0]
    told = shared.log.read_bytes()[known:]
    assert b"malformed HTTP" in told
    assert b"Traceback" not in told


@THOROUGH
@given(mutants())
def test_a_broken_object_is_refused_whole_or_taken_whole(http: Http, mutant: tuple[Kind, Any]):
    kind, obj = mutant
    body = json.dumps(obj).encode()
    place = collection(kind)
    code = check(http, "POST", f"{place}?fieldValidation=Ignore&dryRun=All", body)
    stored = check(http, "POST", f"{place}?fieldValidation=Ignore", body)
    assert stored == code or (code, stored) == (201, 409)
    name = obj["metadata"].get("name") if isinstance(obj.get("metadata"), dict) else None
    if isinstance(name, str) and name and name not in (".", ".."):
        one = f"{place}/{quote(name, safe='')}"
        there = http.get(one).code
        assert (there == 200) == (stored in (201, 409)), (one, there, stored)
        if stored == 201:
            check(http, "DELETE", one, b'{"gracePeriodSeconds":0}')


@THOROUGH
@given(
    st.sampled_from(PATCH_TYPES),
    trees
    | st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]),
                "path": st.sampled_from(
                    ["", "/", "/metadata", "/metadata/name", "/data/a", "/data/~2", "/spec/-1", "/data/-", "/x/y/z"]
                ),
            },
            optional={"value": values, "from": st.sampled_from(["", "/data", "/metadata/name", "/data/a/b"])},
        ),
        max_size=3,
    ),
)
def test_a_hostile_patch_is_refused(http: Http, type: str, patch: Any):
    place = "/api/v1/namespaces/default/configmaps"
    http.post(place, {"metadata": {"name": "hostile"}, "data": {"a": "b"}})
    query = "?fieldManager=f&force=true"
    check(http, "PATCH", f"{place}/hostile{query}", json.dumps(patch).encode(), type)
    assert http.get(f"{place}/hostile").ok()["metadata"]["name"] == "hostile"
    check(
        http,
        "PATCH",
        f"/apis/apps/v1/namespaces/default/deployments/hostile{query}",
        json.dumps(patch).encode(),
        type,
    )


@THOROUGH
@given(st.sampled_from(PARAMETERS), st.text(max_size=20) | st.sampled_from(QUERIES))
def test_a_hostile_query_is_refused(http: Http, name: str, text: str):
    if name == "watch":
        name, text = "fieldSelector", f"spec.{text}"
    check(http, "GET", f"/api/v1/namespaces/default/pods?{name}={quote(text, safe='')}")
    check(http, "DELETE", f"/api/v1/namespaces/none/pods?{name}={quote(text, safe='')}")


@THOROUGH
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
    st.sampled_from(
        [
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
            APPLY,
            "text/html",
            "",
            "a;b=c",
        ]
    ),
)
def test_noise_is_refused(http: Http, body: bytes, type: str):
    assert check(http, "POST", "/api/v1/namespaces/default/configmaps", body, type) != 201
    check(http, "PATCH", "/api/v1/namespaces/default/configmaps/noise", body, type)
    check(http, "DELETE", "/api/v1/namespaces/default/configmaps/noise", body, type)


@THOROUGH
@given(
    st.lists(
        st.text(max_size=6) | st.sampled_from(["api", "v1", "namespaces", "pods", "..", ".", "status", "scale"]),
        max_size=7,
    ),
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]),
)
def test_strange_paths_are_not_found(http: Http, steps: list[str], method: str):
    path = "/" + "/".join(quote(step, safe="") for step in ["api", "v1", "namespaces", "none", *steps])
    if method == "DELETE" and len(steps) < 1:
        method = "GET"
    answer = http.ask(method, path, b"{}" if method in ("POST", "PUT", "PATCH") else None)
    assert answer.code < 500, (method, path, answer.body)
