"""node/pods: the API of pods, and what the node makes of it."""

from __future__ import annotations

import aiohttp
import pytest

from tests.api.raw import JSON
from tests.conformance.rows import row
from tests.conformance.space import AGNHOST, IMAGE, Obj, Space, agnhost, condition, pod, ready, shell

pytestmark = pytest.mark.conformance

STRATEGIC = "application/strategic-merge-patch+json"


def labelled(made: Obj, **labels: str) -> Obj:
    made["metadata"]["labels"] = labels
    return made


def names(space: Space, selector: str) -> list[str]:
    return [each["metadata"]["name"] for each in space.list("v1/Pod", labelSelector=selector)]


@row("Pods should get a host IP")
def test_a_pod_has_the_address_of_its_node(space: Space):
    found = space.run(pod())
    assert found["status"]["hostIP"] == space.site.nodes[found["spec"]["nodeName"]]
    assert found["status"]["hostIPs"] == [{"ip": found["status"]["hostIP"]}]


@row("Pods should be submitted and removed")
def test_a_pod_is_watched_from_its_creation_to_its_end(space: Space):
    before = space.ask("GET", "v1/Pod", query={"labelSelector": "time=now"}).ok()
    assert before["items"] == []
    found = space.run(labelled(pod("pod", *shell("trap 'exit 0' TERM; while :; do sleep 0.1; done")), time="now"))
    space.delete("v1/Pod", "pod", {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 30})
    space.wait(lambda: names(space, "time=now") == [])
    since = before["metadata"]["resourceVersion"]
    path = space.path("v1/Pod", watch=1, labelSelector="time=now", resourceVersion=since, timeoutSeconds=1)
    events = space.http.events(path)
    kinds = [each["type"] for each in events]
    assert (kinds[0], kinds[-1], set(kinds[1:-1])) == ("ADDED", "DELETED", {"MODIFIED"})
    last = events[-1]["object"]
    assert last["metadata"]["deletionTimestamp"]
    assert last["metadata"]["deletionGracePeriodSeconds"] is not None
    assert last["metadata"]["uid"] == found["metadata"]["uid"]
    assert last["status"]["phase"] == "Succeeded"


@row("Pods should be updated")
def test_labels_are_updated(space: Space):
    space.run(labelled(pod(), time="1"))
    found = space.get("v1/Pod", "pod")
    found["metadata"]["labels"]["time"] = "2"
    space.update(found)
    assert (names(space, "time=1"), names(space, "time=2")) == ([], ["pod"])
    assert space.get("v1/Pod", "pod")["status"]["phase"] == "Running"


@row("Pods should allow activeDeadlineSeconds to be updated")
def test_a_deadline_may_be_given_later(space: Space):
    space.run(pod())
    found = space.get("v1/Pod", "pod")
    found["spec"]["activeDeadlineSeconds"] = 2
    space.update(found)
    space.wait(lambda: space.get("v1/Pod", "pod")["status"].get("reason") == "DeadlineExceeded")
    assert space.get("v1/Pod", "pod")["status"]["phase"] == "Failed"
    found = space.get("v1/Pod", "pod")
    found["spec"]["activeDeadlineSeconds"] = 20
    assert space.ask("PUT", "v1/Pod", "pod", found).code == 422


@row("Pods should contain environment variables for services")
def test_services_are_in_the_environment(space: Space):
    port = {"port": 8765, "targetPort": 8080}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "fooservice"}}
    address = space.create({**service, "spec": {"ports": [port], "selector": {"name": "server"}}})["spec"][
        "clusterIP"
    ]
    lines = space.output(pod("pod", "env")).splitlines()
    assert {
        f"FOOSERVICE_SERVICE_HOST={address}",
        "FOOSERVICE_SERVICE_PORT=8765",
        f"FOOSERVICE_PORT=tcp://{address}:8765",
        f"FOOSERVICE_PORT_8765_TCP=tcp://{address}:8765",
        "FOOSERVICE_PORT_8765_TCP_PORT=8765",
        "FOOSERVICE_PORT_8765_TCP_PROTO=tcp",
        f"FOOSERVICE_PORT_8765_TCP_ADDR={address}",
    } <= set(lines)
    without = space.output(pod("without", "env", enableServiceLinks=False))
    assert "FOOSERVICE" not in without
    assert "KUBERNETES_SERVICE_HOST" in without


async def received(space: Space, path: str, protocol: str) -> list[bytes]:
    """What a WebSocket says until the server closes it."""
    connector = aiohttp.TCPConnector(ssl=space.http.context)
    url = space.http.server + path
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.ws_connect(url, protocols=[protocol]) as socket,
    ):
        assert socket.protocol == protocol
        found = [bytes(message.data) async for message in socket]
        assert socket.close_code == 1000
        return found


@row("Pods should support remote command execution over websockets")
async def test_a_command_over_a_websocket(space: Space):
    space.run(pod("pod", *shell("echo container is alive; sleep 600")))
    command = "&command=echo&command=remote+execution+test"
    path = space.path("v1/Pod", "pod", "exec", stderr=1, stdout=1, container="main") + command
    messages = [each for each in await received(space, path, "channel.k8s.io") if len(each) > 1]
    assert {each[0] for each in messages} == {1}
    assert b"".join(each[1:] for each in messages) == b"remote execution test\n"


@row("Pods should support retrieving logs from the container over websockets")
async def test_logs_over_a_websocket(space: Space):
    space.run(pod("pod", *shell("echo container is alive; sleep 600")))
    space.wait(lambda: space.logs("pod"))
    path = space.path("v1/Pod", "pod", "log", container="main")
    assert b"".join(await received(space, path, "binary.k8s.io")) == b"container is alive\n"


@row("Pods should delete a collection of pods")
def test_pods_are_deleted_by_their_label(space: Space):
    for name in ("test-pod-1", "test-pod-2", "test-pod-3"):
        space.create(labelled(pod(name), type="Testing"))
    space.create(labelled(pod("other"), type="other"))
    space.wait(lambda: all(ready(each) for each in space.list("v1/Pod")))
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 1}
    space.ask("DELETE", "v1/Pod", body=options, query={"labelSelector": "type=Testing"}, type=JSON).ok()
    space.wait(lambda: names(space, "type=Testing") == [])
    assert names(space, "type=other") == ["other"]


@row("Pods should run through the lifecycle of Pods and PodStatus")
def test_the_life_of_a_pod_and_its_status(space: Space):
    made = labelled(pod("pod-test", terminationGracePeriodSeconds=1, restartPolicy="Always"), static="true")
    space.run(made)
    found = space.get("v1/Pod", "pod-test")
    assert found["status"]["phase"] == "Running"
    other = {"name": "main", "image": "agnhost:test", "resources": {}}
    patch = {
        "metadata": {"creationTimestamp": None, "labels": {"test-pod": "patched"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [other]},
        "status": {},
    }
    space.patch("v1/Pod", "pod-test", patch, type=STRATEGIC)
    found = space.get("v1/Pod", "pod-test")
    assert found["metadata"]["labels"] == {"static": "true", "test-pod": "patched"}
    assert found["spec"]["containers"][0]["image"] == "agnhost:test"
    found = space.get("v1/Pod", "pod-test", sub="status")
    for each in found["status"]["conditions"]:
        if each["type"] in ("Ready", "ContainersReady"):
            each["status"] = "False"
    answer = space.ask("PUT", "v1/Pod", "pod-test", found, sub="status")
    if answer.code != 409:  # the node was first
        assert (condition(answer.ok(), "Ready"), condition(answer.ok(), "ContainersReady")) == ("False", "False")
    space.wait(lambda: ready(now := space.get("v1/Pod", "pod-test")) and restarted(now))
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 1}
    space.ask("DELETE", "v1/Pod", body=options, query={"labelSelector": "static=true"}, type=JSON).ok()
    space.wait(lambda: space.gone("v1/Pod", "pod-test"))


def restarted(found: Obj) -> bool:
    return bool(found["status"]["containerStatuses"][0]["restartCount"])


@row("Pods should patch a pod status")
def test_the_status_of_a_pod_is_patched(space: Space):
    space.run(labelled(pod(), test="pod-static"))
    patch = {"metadata": {"labels": {"podstatus": "patched"}}, "status": {"message": "Patched", "reason": "E2E"}}
    found = space.patch("v1/Pod", "pod", patch, type=STRATEGIC, sub="status")
    assert (found["status"]["message"], found["status"]["reason"]) == ("Patched", "E2E")
    assert found["metadata"]["labels"]["podstatus"] == "patched"


@row(
    "Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu"
)
@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (
            {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "100m", "memory": "100Mi"}},
            "Guaranteed",
        ),
        ({"limits": {"cpu": "100m", "memory": "100Mi"}}, "Guaranteed"),
        ({"requests": {"cpu": "100m"}}, "Burstable"),
        ({}, "BestEffort"),
    ],
)
def test_the_quality_of_service_is_told_at_once(space: Space, resources: Obj, expected: str):
    made = pod()
    made["spec"]["containers"][0]["resources"] = resources
    assert space.create(made)["status"]["qosClass"] == expected


def test_a_pod_waits_for_its_readiness_gates(space: Space):
    gates = ("k8s.io/test-condition1", "k8s.io/test-condition2")
    space.create(pod(readinessGates=[{"conditionType": gate} for gate in gates]))
    space.wait(lambda: condition(space.get("v1/Pod", "pod"), "ContainersReady") == "True")

    def say(gate: str, status: str) -> None:
        patch = {"status": {"conditions": [{"type": gate, "status": status}]}}
        space.patch("v1/Pod", "pod", patch, type=STRATEGIC, sub="status")

    assert not ready(space.get("v1/Pod", "pod"))
    say(gates[0], "True")
    space.stays(lambda: not ready(space.get("v1/Pod", "pod")), 1)
    say(gates[1], "True")
    space.wait(lambda: ready(space.get("v1/Pod", "pod")))
    say(gates[0], "False")
    space.wait(lambda: not ready(space.get("v1/Pod", "pod")))


def test_a_deleted_pod_ends_within_its_grace_and_serves_until_then(space: Space):
    space.run(agnhost("pod", "netexec", "--delay-shutdown", "2", terminationGracePeriodSeconds=30))
    space.delete("v1/Pod", "pod")
    path = space.path("v1/Pod", "pod:8080", "proxy/hostname")
    assert space.http.get(path).ok() == b"pod"
    assert space.get("v1/Pod", "pod")["metadata"]["deletionTimestamp"]
    space.wait(lambda: space.gone("v1/Pod", "pod"), 15)


def test_a_negative_grace_is_one_second(space: Space):
    """It stays as it was said, with a warning, and may be put right; who deletes the pod finds one second."""
    made = pod("pod", *shell("trap '' TERM; while true; do sleep 1; done"), terminationGracePeriodSeconds=-1)
    assert space.run(made)["spec"]["terminationGracePeriodSeconds"] == -1
    found = space.delete("v1/Pod", "pod")
    assert found["metadata"]["deletionGracePeriodSeconds"] == 1
    space.wait(lambda: space.gone("v1/Pod", "pod"))
    space.create(made)

    def updated() -> bool:
        found = space.get("v1/Pod", "pod")
        found["spec"]["terminationGracePeriodSeconds"] = 1
        return bool(space.update(found)["spec"]["terminationGracePeriodSeconds"] == 1)

    space.wait(updated)


def generations(space: Space) -> tuple[int, int]:
    found = space.get("v1/Pod", "pod")
    return found["metadata"]["generation"], found["status"]["observedGeneration"]


def test_the_generation_counts_changes_of_the_spec_and_is_observed(space: Space):
    made = pod(restartPolicy="Always")
    made["spec"]["initContainers"] = [{"name": "init", "image": IMAGE, "command": ["true"]}]
    made["metadata"]["generation"] = 100
    space.run(made)
    assert generations(space) == (1, 1)
    added = {"key": "foo", "operator": "Equal", "value": "bar", "effect": "NoSchedule"}
    for change, expected in (
        (lambda found: None, 1),
        (lambda found: found["spec"].update(tolerations=[added]), 2),
        (lambda found: found["spec"].update(activeDeadlineSeconds=5000), 3),
        (lambda found: found["spec"]["containers"][0].update(image=AGNHOST), 4),
        (lambda found: found["spec"]["initContainers"][0].update(image=AGNHOST), 5),
        (lambda found: found["metadata"].update(annotations={"key": "value"}), 5),
        (lambda found: found["metadata"].update(generation=1), 5),
    ):

        def written(change=change) -> bool:
            found = space.get("v1/Pod", "pod")
            change(found)
            return space.ask("PUT", "v1/Pod", "pod", found).code == 200

        space.wait(written)
        space.wait(lambda expected=expected: generations(space) == (expected, expected))
    conditions = space.get("v1/Pod", "pod")["status"]["conditions"]
    assert {each["observedGeneration"] for each in conditions} == {5}
    answer = space.ask("DELETE", "v1/Pod", "pod", query={"gracePeriodSeconds": 60})
    assert answer.ok()["metadata"]["generation"] == 6
    assert space.get("v1/Pod", "pod")["metadata"]["generation"] == 6


def test_many_changes_are_all_observed(space: Space):
    space.run(pod(activeDeadlineSeconds=5000))
    for count in range(1, 500):
        patch = {"spec": {"activeDeadlineSeconds": 5000 - count}}
        space.patch("v1/Pod", "pod", patch)
    space.wait(lambda: generations(space) == (500, 500))
