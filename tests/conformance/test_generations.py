"""node/pods and node/resize: the generation of a pod's spec, and its resources changed in place."""

from __future__ import annotations

import pytest

from tests.api.raw import MERGE, STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import IMAGE, Obj, Space, pod

pytestmark = pytest.mark.conformance
POD = "v1/Pod"
GENERATION = "Pods Extended (pod generation) Pod Generation "
RESIZE = "Pod InPlace Resize Container "


def generations(found: Obj) -> tuple[int, int]:
    return found["metadata"]["generation"], found["status"].get("observedGeneration", 0)


@row(GENERATION + "pod generation should start at 1 and increment per update")
def test_a_pod_counts_the_changes_of_its_spec(space: Space):
    made = pod("pod")
    made["spec"]["tolerations"] = [{"key": "a", "operator": "Exists"}]
    assert space.create(made)["metadata"]["generation"] == 1
    space.wait(lambda: space.get(POD, "pod")["status"]["phase"] == "Running")
    more = {"name": "debug", "image": IMAGE, "command": ["sleep", "3600"]}
    cpu = {"containers": [{"name": "main", "resources": {"requests": {"cpu": "10m"}}}]}

    def tolerate() -> Obj:
        found = space.get(POD, "pod")
        found["spec"]["tolerations"].append({"key": "b", "operator": "Exists"})
        return space.update(found)

    changes = [
        lambda: space.patch(POD, "pod", {"spec": {"activeDeadlineSeconds": 5000}}),
        lambda: space.patch(POD, "pod", {"metadata": {"labels": {"no": "change"}}}),
        lambda: space.wait(tolerate),
        lambda: space.patch(
            POD, "pod", {"spec": {"ephemeralContainers": [more]}}, type=STRATEGIC, sub="ephemeralcontainers"
        ),
    ]
    for number, change in zip((2, 2, 3, 4), changes, strict=True):
        assert change()["metadata"]["generation"] == number
        space.wait(lambda number=number: generations(space.get(POD, "pod")) == (number, number))
    refused = space.ask("PATCH", POD, "pod", {"spec": cpu}, type=STRATEGIC)
    assert refused.code == 422
    found = space.get(POD, "pod")
    assert generations(found) == (4, 4)
    observed = {each["type"]: each["observedGeneration"] for each in found["status"]["conditions"]}
    assert observed["PodScheduled"] >= 1
    assert observed["Ready"] == 4


@row(GENERATION + "custom-set generation on new pods and graceful delete")
def test_nobody_sets_a_generation_and_a_graceful_end_is_one(space: Space):
    made = pod("pod", "sh", "-c", "trap '' TERM; while true; do sleep 1; done", terminationGracePeriodSeconds=5)
    made["metadata"]["generation"] = 100
    assert space.create(made)["metadata"]["generation"] == 1
    space.wait(lambda: space.get(POD, "pod")["status"]["phase"] == "Running")
    since = space.version(POD)
    space.delete(POD, "pod")
    space.until(POD, lambda one: generations(one) == (2, 2), since=since, type="MODIFIED")
    space.wait(lambda: space.gone(POD, "pod"))


@row(GENERATION + "issue 500 podspec updates and verify generation and observedGeneration eventually converge")
def test_five_hundred_changes_are_all_seen(space: Space):
    space.create(pod("pod"))

    for number in range(499):
        space.patch(POD, "pod", {"spec": {"activeDeadlineSeconds": 5000 - number}})
    space.wait(lambda: generations(space.get(POD, "pod")) == (500, 500))


def resources(cpu: str, memory: str, cpu_limit: str = "", memory_limit: str = "") -> Obj:
    limits = {name: value for name, value in (("cpu", cpu_limit), ("memory", memory_limit)) if value}
    requests = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    return {**({"requests": requests} if requests else {}), **({"limits": limits} if limits else {})}


def resizable(*asked: Obj) -> Obj:
    made = pod("pod")
    made["spec"]["containers"] = [
        {"name": f"c{number}", "image": IMAGE, "command": ["sleep", "3600"], "resources": each}
        for number, each in enumerate(asked)
    ]
    return made


def resized(space: Space, *wanted: Obj) -> None:
    """All is said, done and told, without a restart."""

    def holds() -> bool:
        found = space.get(POD, "pod")
        assert not {each["type"] for each in found["status"]["conditions"]} & {
            "PodResizePending",
            "PodResizeInProgress",
        }
        assert [each["resources"] for each in found["spec"]["containers"]] == list(wanted)
        states = sorted(found["status"]["containerStatuses"], key=lambda one: str(one["name"]))
        assert [each["resources"] for each in states] == list(wanted)
        assert [each["restartCount"] for each in states] == [0] * len(wanted)
        return generations(found)[0] == generations(found)[1]

    space.wait(holds)


def quota(space: Space, container: str) -> tuple[int, int]:
    """CPU quota in microseconds per 100 ms, and bytes of memory, as the container's control groups have it."""
    script = (
        "cat /sys/fs/cgroup/cpu.max 2>/dev/null | cut -d' ' -f1 || true; cat /sys/fs/cgroup/memory.max 2>/dev/null;"
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true"
    )
    cpu, memory = space.exec("pod", "sh", "-c", script, container=container).split()
    return int(cpu), int(memory)


def change(*wanted: Obj | None) -> Obj:
    containers = [
        {"name": f"c{number}", "resources": each} for number, each in enumerate(wanted) if each is not None
    ]
    return {"spec": {"containers": containers}}


@row(
    RESIZE
    + "burstable pods - extended 6 containers - various operations performed (including adding limits and requests)"
)
def test_six_containers_change_in_their_own_ways(space: Space):
    before = [
        resources("20m", "20Mi", "40m", "40Mi"),
        resources("20m", "20Mi", "40m", "40Mi"),
        resources("20m", "20Mi"),
        resources("20m", "20Mi"),
        resources("20m", "", "40m"),
        {},
    ]
    after = [
        resources("30m", "30Mi", "50m", "50Mi"),
        resources("10m", "20Mi", "30m", "40Mi"),
        resources("20m", "20Mi", "40m", "40Mi"),
        resources("25m", "25Mi"),
        resources("20m", "20Mi", "40m", "40Mi"),
        resources("20m", "20Mi", "40m", "40Mi"),
    ]
    space.run(resizable(*before))
    space.patch(POD, "pod", change(*after), type=STRATEGIC, sub="resize")
    resized(space, *after)
    assert quota(space, "c0") == (5000, 50 << 20)
    assert quota(space, "c1") == (3000, 40 << 20)
    assert quota(space, "c5") == (4000, 40 << 20)


@row(RESIZE + "burstable pods - extended resize with equivalents")
def test_amounts_that_come_to_the_same_are_told_as_they_were_asked(space: Space):
    space.run(resizable(resources("2m", "", "10m")))
    for wanted in (resources("1m", "", "5m"), resources("2m", "", "10m")):
        space.patch(POD, "pod", change(wanted), type=STRATEGIC, sub="resize")
        resized(space, wanted)


@row(RESIZE + "resize pod via the replace endpoint")
def test_a_resize_can_be_put(space: Space):
    space.run(resizable(resources("20m", "20Mi", "20m", "20Mi")))
    wanted = resources("30m", "30Mi", "30m", "30Mi")

    def put() -> Obj:
        found = space.get(POD, "pod", sub="resize")
        found["spec"]["containers"][0]["resources"] = wanted
        return space.update(found, sub="resize")

    space.wait(put)
    resized(space, wanted)
    assert quota(space, "c0") == (3000, 30 << 20)
    found, seen = space.get(POD, "pod"), space.get(POD, "pod", sub="resize")
    assert found == seen
    refused = space.ask("PATCH", POD, "pod", change(resources("40m", "30Mi", "40m", "30Mi")), type=MERGE)
    assert refused.code == 422
