"""The API as HTTP: negotiation, lists in pages, watches, health, metrics, limits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest

from tests.api.conftest import Cluster
from tests.api.raw import Http

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
REVIEW = {
    "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
    "spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def http(shared: Cluster) -> Http:
    return Http(shared.kubeconfig)


@pytest.fixture
def place(http: Http, request: pytest.FixtureRequest) -> Iterator[str]:
    """The path of the ConfigMaps of a namespace of the test's own, empty."""
    name = f"p{abs(hash(request.node.name)) % 10**8}"
    http.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok(201)
    path = f"/api/v1/namespaces/{name}/configmaps"
    deadline = time.monotonic() + 10
    while not http.get(f"{path}?fieldSelector=metadata.name%3Dkube-root-ca.crt").ok()["items"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield f"/api/v1/namespaces/{name}/podtemplates"
    http.delete(f"/api/v1/namespaces/{name}").ok()


def template(name: str, **labels: str) -> dict[str, object]:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {
        "metadata": {"name": name, "labels": labels},
        "template": {"metadata": {"labels": labels}, "spec": spec},
    }


def test_what_has_no_metadata_is_refused_as_a_table(http: Http):
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    http.post(path, REVIEW, accept=TABLE).refused(406, "NotAcceptable")
    http.post(path, REVIEW, accept=f"{TABLE}, application/json").ok(201)


def test_unknown_media_are_refused(http: Http, place: str):
    http.get(place, accept="text/plain").refused(406, "NotAcceptable")
    http.post(place, b"x", type="text/plain").refused(415, "UnsupportedMediaType")
    http.patch(f"{place}/x", {}, "application/nonsense").refused(415, "UnsupportedMediaType")


def test_methods_that_a_path_does_not_have_are_refused(http: Http, place: str):
    http.put(place, {}).refused(405, "MethodNotAllowed")
    http.post(f"{place}/x", {}).refused(405, "MethodNotAllowed")
    http.ask("OPTIONS", place).refused(405, "MethodNotAllowed")


def test_metadata_alone_is_answered_when_asked_for(http: Http, place: str):
    http.post(place, template("a")).ok(201)
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    found = http.get(place, accept=accept).ok()
    assert found["kind"] == "PartialObjectMetadataList"
    assert [sorted(item) for item in found["items"]] == [["apiVersion", "kind", "metadata"]]


def test_big_answers_come_compressed_to_who_takes_gzip(http: Http):
    plain = http.get("/openapi/v2", headers={"Accept-Encoding": "identity"})
    small = http.get("/openapi/v2", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.json == plain.json
    etag = plain.headers["ETag"]
    assert http.get("/openapi/v2", headers={"If-None-Match": etag}).code == 304


def test_pages_come_from_one_snapshot_and_count_what_is_left(http: Http, place: str):
    for number in range(10):
        http.post(place, template(f"t{number}")).ok(201)
    names, token, revisions = [], "", set()
    while True:
        page = http.get(f"{place}?limit=4&continue={token}").ok()
        names += [item["metadata"]["name"] for item in page["items"]]
        revisions.add(page["metadata"]["resourceVersion"])
        token = page["metadata"].get("continue", "")
        assert page["metadata"].get("remainingItemCount", 0) == 10 - len(names)
        http.delete(f"{place}/t9")
        if not token:
            break
    assert names == [f"t{number}" for number in range(10)]
    assert len(revisions) == 1


def test_lists_of_an_exact_revision_show_the_past(http: Http, place: str):
    first = http.post(place, template("a")).ok(201)["metadata"]["resourceVersion"]
    http.post(place, template("b")).ok(201)
    then = http.get(f"{place}?resourceVersion={first}&resourceVersionMatch=Exact").ok()
    assert [item["metadata"]["name"] for item in then["items"]] == ["a"]
    now = http.get(f"{place}?resourceVersion={first}&resourceVersionMatch=NotOlderThan").ok()
    assert len(now["items"]) == 2
    for query in ("resourceVersionMatch=Exact", "resourceVersionMatch=Exact&resourceVersion=0",
                  f"resourceVersionMatch=Other&resourceVersion={first}"):  # fmt: skip
        http.get(f"{place}?{query}").refused(422, "Invalid")


def test_leaving_a_selection_is_a_deletion_and_coming_back_an_addition(http: Http, place: str):
    revision = http.get(place).ok()["metadata"]["resourceVersion"]
    http.post(place, template("a", watch="A")).ok(201)
    for value in ("B", "A"):
        http.patch(f"{place}/a", {"metadata": {"labels": {"watch": value}}}).ok()
    http.delete(f"{place}/a").ok()
    seen = http.events(f"{place}?watch=1&timeoutSeconds=1&resourceVersion={revision}&labelSelector=watch%3DA")
    assert [event["type"] for event in seen] == ["ADDED", "DELETED", "ADDED", "DELETED"]


def test_a_streaming_list_ends_with_its_bookmark(http: Http, place: str):
    http.post(place, template("a")).ok(201)
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    seen = http.events(f"{place}?watch=1&timeoutSeconds=1&{query}")
    assert [event["type"] for event in seen] == ["ADDED", "BOOKMARK"]
    ended = {"annotations": {"k8s.io/initial-events-end": "true"}}
    assert int(seen[1]["object"]["metadata"].pop("resourceVersion")) > 0
    assert seen[1]["object"] == {"kind": "PodTemplate", "apiVersion": "v1", "metadata": ended}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": ended}
    last = watched(http, f"{place}?watch=1&timeoutSeconds=1&{query}", "PartialObjectMetadata")[1]
    assert int(last["metadata"].pop("resourceVersion")) > 0
    assert last == partial
    tables = watched(http, f"{place}?watch=1&timeoutSeconds=1&{query}", "Table")
    assert [table["kind"] for table in tables] == ["Table", "Table"]
    assert [column["name"] for column in tables[0]["columnDefinitions"]][:2] == ["Name", "Containers"]
    assert tables[1]["columnDefinitions"] is None
    shown = tables[1]["rows"][0]["object"]
    assert shown["metadata"].pop("resourceVersion") == tables[1]["metadata"]["resourceVersion"]
    assert shown == partial


def watched(http: Http, path: str, view: str) -> list[Any]:
    """The objects of a watch in this view."""
    accept = f"application/json;as={view};v=v1;g=meta.k8s.io"
    lines = http.get(path, accept=accept).body.splitlines()
    return [json.loads(line)["object"] for line in lines]


def test_concurrent_watches_see_one_order(http: Http, place: str):
    revision = int(http.get(place).ok()["metadata"]["resourceVersion"])

    def watch(_: int) -> list[str]:
        seen = http.events(f"{place}?watch=1&timeoutSeconds=3&resourceVersion={revision}")
        return [event["object"]["metadata"]["resourceVersion"] for event in seen]

    def write() -> None:
        for number in range(20):
            http.post(place, template(f"t{number}"))
            http.delete(f"{place}/t{number - 3}")

    writer = threading.Thread(target=write)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(watch, range(8))
        writer.start()
        orders = list(found)
    writer.join()
    assert all(order == orders[0] for order in orders)
    assert [int(one) for one in orders[0]] == sorted(map(int, orders[0]))
    assert len(orders[0]) > 20


async def test_a_watch_speaks_websocket_too(http: Http, place: str):
    http.post(place, template("a")).ok(201)
    connector = aiohttp.TCPConnector(ssl=http.context)
    url = f"{http.server}{place}?watch=1&timeoutSeconds=5"
    async with aiohttp.ClientSession(connector=connector) as session, session.ws_connect(url) as socket:
        first = json.loads(await socket.receive_str())
        assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
        http.delete(f"{place}/a").ok()
        assert json.loads(await socket.receive_str())["type"] == "DELETED"
        message = await socket.receive()
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


def test_health_is_told_check_by_check(http: Http):
    assert http.get("/readyz").body == b"ok"
    assert b"[+]etcd ok\n" in http.get("/readyz?verbose").body
    assert http.get("/livez/ping").body == b"ok"
    http.get("/livez/nonsense").refused(404, "NotFound")


def test_metrics_count_requests_by_kind_and_code(http: Http, place: str):
    http.get(f"{place}/nobody").refused(404, "NotFound")
    text = http.get("/metrics").body.decode()
    wanted = 'apiserver_request_total{code="404",component="apiserver",dry_run="",group="",resource="podtemplates"'
    assert wanted in text
    assert "apiserver_request_duration_seconds_bucket{" in text
    assert 'apiserver_resource_objects{group="",resource="namespaces"}' in text


def test_bodies_beyond_the_limit_are_refused(http: Http, place: str):
    body = json.dumps({"metadata": {"name": "x"}, "data": {"a": "x" * (3 * 2**20 + 1)}}).encode()
    http.post(place, body).refused(413, "RequestEntityTooLarge")
    http.get(f"{place}/x").refused(404, "NotFound")


def test_profiles_are_served_only_when_asked_for(http: Http):
    http.get("/debug/pprof/").refused(404, "NotFound")
