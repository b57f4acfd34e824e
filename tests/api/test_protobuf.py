"""Clients that ask for protobuf first get it; kubectl reads it with Go's types."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from minikube.schema import protobuf
from tests.api.conftest import Cluster
from tests.api.raw import Http

PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPT = f"{PROTOBUF},application/json"
STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
CONFIG_MAP = "io.k8s.api.core.v1.ConfigMap"
META = "k8s.io.apimachinery.pkg.apis.meta.v1."


@pytest.fixture(scope="module")
def http(shared: Cluster) -> Http:
    return Http(shared.kubeconfig)


@pytest.fixture(scope="module")
def place(http: Http) -> Iterator[str]:
    """The path of two ConfigMaps."""
    http.post("/api/v1/namespaces", {"metadata": {"name": "protobuf"}}).ok(201)
    path = "/api/v1/namespaces/protobuf/configmaps"
    for name in ("a", "b"):
        http.post(path, {"metadata": {"name": name, "labels": {"mine": "yes"}}, "data": {"k": "v"}}).ok(201)
    yield path
    http.ask("DELETE", "/api/v1/namespaces/protobuf")


def unwrapped(data: bytes) -> tuple[str, str, bytes]:
    """(apiVersion, kind, message) of an envelope."""
    assert data.startswith(protobuf.MAGIC)
    outer = dict(protobuf._fields(data[len(protobuf.MAGIC) :]))
    names = dict(protobuf._fields(outer[1]))
    return names[1].decode(), names[2].decode(), outer[2]


def listed(raw: bytes, message: str) -> tuple[dict[str, Any], list[Any]]:
    """(metadata, items) of the message of a list."""
    found = list(protobuf._fields(raw))
    [metadata] = [value for number, value in found if number == 1]
    items = [protobuf._message(value, message) for number, value in found if number == 2]
    return protobuf._message(metadata, META + "ListMeta"), items


def test_an_object_is_the_same_as_in_json(http: Http, place: str) -> None:
    answer = http.get(f"{place}/a", accept=ACCEPT)
    assert answer.headers["Content-Type"] == PROTOBUF
    assert protobuf.decode(answer.body, CONFIG_MAP) == http.get(f"{place}/a").ok()


def test_writes_are_answered_in_it(http: Http, place: str) -> None:
    made = http.post(f"{place}?dryRun=All", {"metadata": {"name": "c"}}, accept=ACCEPT)
    assert made.code == 201
    assert protobuf.decode(made.body, CONFIG_MAP)["metadata"]["name"] == "c"
    gone = http.ask("DELETE", f"{place}/a?dryRun=All", accept=ACCEPT)
    assert unwrapped(gone.body)[:2] == ("v1", "Status")


def test_a_list_has_its_metadata_and_items(http: Http, place: str) -> None:
    answer = http.get(f"{place}?labelSelector=mine%3Dyes&limit=1", accept=ACCEPT)
    version, kind, raw = unwrapped(answer.body)
    assert (version, kind) == ("v1", "ConfigMapList")
    metadata, items = listed(raw, "k8s.io.api.core.v1.ConfigMap")
    assert metadata["continue"]
    assert [item["metadata"]["name"] for item in items] == ["a"]


def test_metadata_alone(http: Http, place: str) -> None:
    accept = f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
    answer = http.get(f"{place}?labelSelector=mine", accept=accept)
    version, kind, raw = unwrapped(answer.body)
    assert (version, kind) == ("meta.k8s.io/v1", "PartialObjectMetadataList")
    inside = [value for number, value in protobuf._fields(raw) if number == 2]
    named = [protobuf._message(dict(protobuf._fields(one))[1], META + "ObjectMeta")["name"] for one in inside]
    assert named == ["a", "b"]


def test_a_watch_is_one_event_after_the_other(http: Http, place: str) -> None:
    answer = http.get(f"{place}?watch=1&labelSelector=mine&timeoutSeconds=1", accept=ACCEPT)
    assert answer.headers["Content-Type"] == f"{PROTOBUF};stream=watch"
    data, seen = answer.body, []
    while data:
        [size] = struct.unpack(">I", data[:4])
        event = dict(protobuf._fields(data[4 : 4 + size]))
        inner = dict(protobuf._fields(event[2]))[1]
        seen.append((event[1].decode(), protobuf.decode(inner, CONFIG_MAP)["metadata"]["name"]))
        data = data[4 + size :]
    assert seen == [("ADDED", "a"), ("ADDED", "b")]


def test_what_has_no_message_is_json_or_refused(http: Http, place: str) -> None:
    path = "/apis/metrics.k8s.io/v1beta1/nodes"
    assert http.get(path, accept=ACCEPT).headers["Content-Type"] == "application/json"
    said = http.get(path, accept=PROTOBUF).refused(406, "NotAcceptable")
    assert said == "only the following media types are accepted: application/json, application/yaml"
    table = http.get(place, accept=f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1")
    assert PROTOBUF in table.refused(406, "NotAcceptable")


def test_what_is_answered_and_never_stored_is_in_it_for_whoever_takes_nothing_else(
    cluster: Cluster, http: Http
) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    space = cluster.kubectl("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    pod = cluster.kubectl("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
    authorization, authentication = "authorization.k8s.io/v1", "authentication.k8s.io/v1"
    scale = f"/apis/apps/v1/namespaces/{space}/deployments/web/scale"
    home = f"/api/v1/namespaces/{space}"
    path = {"path": "/x", "verb": "get"}
    asked: list[tuple[str, str, Any, str, str]] = [
        ("GET", scale, None, "autoscaling.v1.Scale", "autoscaling/v1"),
        ("PUT", scale, {"metadata": {"name": "web"}, "spec": {"replicas": 3}}, "autoscaling.v1.Scale", ""),
        ("POST", f"/apis/{authorization}/selfsubjectaccessreviews",
         {"spec": {"nonResourceAttributes": path}}, "authorization.v1.SelfSubjectAccessReview", authorization),
        ("POST", f"/apis/{authorization}/subjectaccessreviews",
         {"spec": {"user": "me", "extra": {"a": ["b"]}, "nonResourceAttributes": path}},
         "authorization.v1.SubjectAccessReview", ""),
        ("POST", f"/apis/{authorization}/selfsubjectrulesreviews",
         {"spec": {"namespace": space}}, "authorization.v1.SelfSubjectRulesReview", ""),
        ("POST", f"/apis/{authentication}/selfsubjectreviews", {},
         "authentication.v1.SelfSubjectReview", authentication),
        ("POST", f"/apis/{authentication}/tokenreviews", {"spec": {"token": "x"}},
         "authentication.v1.TokenReview", ""),
        ("POST", f"{home}/serviceaccounts/default/token", {"spec": {"audiences": ["me"]}},
         "authentication.v1.TokenRequest", authentication),
        ("POST", f"{home}/pods/{pod}/eviction", {"metadata": {"name": pod}}, "Status", "v1"),
        ("PUT", f"{home}/finalize", {"metadata": {"name": space}, "spec": {"finalizers": ["kubernetes"]}},
         "core.v1.Namespace", "v1"),
        ("GET", f"{home}/configmaps/none", None, "Status", "v1"),
    ]  # fmt: skip
    for method, url, body, message, version in asked:
        answer = http.ask(method, url, body, accept=PROTOBUF)
        assert answer.headers["Content-Type"] == PROTOBUF, (url, answer.body)
        definition = (
            f"io.k8s.api.{message}" if message != "Status" else "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
        )
        found = protobuf.decode(answer.body, definition)
        assert found["kind"] == message.rpartition(".")[2]
        assert not version or found["apiVersion"] == version
        if message == "autoscaling.v1.Scale":
            assert found["spec"]["replicas"] == (2 if method == "GET" else 3)
        if message == "authorization.v1.SelfSubjectAccessReview":
            assert found["status"]["allowed"]
        if message == "authentication.v1.SelfSubjectReview":
            assert "system:masters" in found["status"]["userInfo"]["groups"]
        if message == "authentication.v1.TokenRequest":
            assert found["status"]["token"].count(".") == 2


def test_discovery_is_in_it_too(http: Http) -> None:
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1."
    for path, kind in (("/api", "APIVersions"), ("/apis", "APIGroupList"), ("/apis/apps", "APIGroup")):
        answer = http.get(path, accept=PROTOBUF)
        assert protobuf.decode(answer.body, meta + kind) == {"apiVersion": "", **http.get(path).ok()}
    found = protobuf.decode(http.get("/apis/apps/v1", accept=PROTOBUF).body, f"{meta}APIResourceList")
    [deployments] = [one for one in found["resources"] if one["name"] == "deployments"]
    assert {"create", "watch"} <= set(deployments["verbs"])
    assert deployments["shortNames"] == ["deploy"]


def test_kubectl_describes_what_it_reads_so(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    said = cluster.kubectl("describe", "deployment", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in said
    assert "25% max unavailable, 25% max surge" in said
    pod = cluster.kubectl("describe", "pod", "-l", "app=web")
    assert "TokenExpirationSeconds:  3607" in pod
    assert "node.kubernetes.io/unreachable:NoExecute op=Exists for 300s" in pod
    node = cluster.kubectl("describe", "node")
    assert "Allocatable:" in node
    assert "KubeletReady" in node
