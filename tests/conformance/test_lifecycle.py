"""node/lifecycle-hooks, node/init-containers, node/ephemeral-containers: what runs beside and around containers."""

from __future__ import annotations

import pytest

from tests.conformance.rows import row
from tests.conformance.space import IMAGE, Obj, Space, agnhost, condition, pod, shell

pytestmark = pytest.mark.conformance

STRATEGIC = "application/strategic-merge-patch+json"


def hooked(made: Obj, **hooks: Obj) -> Obj:
    made["spec"]["containers"][0]["lifecycle"] = hooks
    return made


def ask(address: str, path: str) -> Obj:
    return {"exec": {"command": ["wget", "-qO-", f"http://{address}:8080{path}"]}}


def get(address: str, path: str) -> Obj:
    headers = [{"name": "X-Hook", "value": "1"}]
    return {"httpGet": {"host": address, "port": 8080, "path": path, "httpHeaders": headers}}


HOOK = "Container Lifecycle Hook when create a pod with lifecycle hook should execute "


@row(
    "Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart exec hook properly",
    "Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop exec hook properly",
    "Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart http hook properly",
    "Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop http hook properly",
    "PreStop should call prestop when killing a pod",
)
@pytest.mark.parametrize("how", [ask, get], ids=["exec", "http"])
def test_hooks_reach_another_pod(space: Space, how):
    server = space.run(agnhost("server"))["status"]["podIP"]
    hooks = {"postStart": how(server, "/echo?msg=poststart"), "preStop": how(server, "/echo?msg=prestop")}
    space.run(hooked(pod("pod", *shell("exec sleep 600"), terminationGracePeriodSeconds=5), **hooks))

    def asked(word: str) -> bool:
        return f"/echo?msg={word}" in space.logs("server")

    space.wait(lambda: asked("poststart"))
    assert not asked("prestop")
    space.delete("v1/Pod", "pod")
    space.wait(lambda: asked("prestop"))
    space.wait(lambda: space.gone("v1/Pod", "pod"))


def test_a_hook_that_fails_is_told_and_the_container_is_killed(space: Space):
    space.create(hooked(pod(restartPolicy="Always"), postStart={"exec": {"command": ["false"]}}))
    told = space.wait(lambda: [each for each in space.events("pod") if each["reason"] == "FailedPostStartHook"])
    assert told[0]["type"] == "Warning"


@row("InitContainer should invoke init containers on a RestartAlways pod")
def test_init_containers_run_before_a_pod_that_goes_on(space: Space):
    found = space.run(with_init(pod("pod", restartPolicy="Always"), "true", "true"))
    assert condition(found, "Initialized") == "True"
    statuses = found["status"]["initContainerStatuses"]
    assert [each["name"] for each in statuses] == ["init1", "init2"]
    assert all(each["ready"] and each["state"]["terminated"]["exitCode"] == 0 for each in statuses)
    first, second = (each["state"]["terminated"] for each in statuses)
    assert first["finishedAt"] <= second["startedAt"]


@row("InitContainer should invoke init containers on a RestartNever pod")
def test_init_containers_run_before_a_pod_that_ends(space: Space):
    found = space.finish(with_init(pod("pod", "true"), "true", "true"))
    assert condition(found, "Initialized") == "True"
    assert [each["restartCount"] for each in found["status"]["initContainerStatuses"]] == [0, 0]


def with_init(made: Obj, *commands: str) -> Obj:
    made["spec"]["initContainers"] = [
        {"name": f"init{n}", "image": IMAGE, "command": [command]} for n, command in enumerate(commands, 1)
    ]
    return made


@row("InitContainer should not start app containers if init containers fail on a RestartAlways pod")
def test_init_containers_are_tried_again_and_nothing_else_starts(space: Space):
    space.create(with_init(pod("pod", restartPolicy="Always"), "false", "true"))

    def again() -> bool:
        first = space.get("v1/Pod", "pod")["status"]["initContainerStatuses"][0]
        return first["restartCount"] >= 2

    space.wait(again)
    found = space.get("v1/Pod", "pod")
    assert (found["status"]["phase"], condition(found, "Initialized")) == ("Pending", "False")
    (reason,) = [each for each in found["status"]["conditions"] if each["type"] == "Initialized"]
    assert reason["reason"] == "ContainersNotInitialized"
    assert reason["message"] == "containers with incomplete status: [init1 init2]"
    second, app = found["status"]["initContainerStatuses"][1], found["status"]["containerStatuses"][0]
    for each in (second, app):
        assert (each["restartCount"], each["state"]["waiting"]["reason"]) == (0, "PodInitializing")
    assert "terminated" in found["status"]["initContainerStatuses"][0]["lastState"]


@row("InitContainer should not start app containers and fail the pod if init containers fail on a RestartNever pod")
def test_a_pod_fails_with_its_init_container(space: Space):
    found = space.finish(with_init(pod("pod", "true"), "true", "false"), phase="Failed")
    assert condition(found, "Initialized") == "False"
    (reason,) = [each for each in found["status"]["conditions"] if each["type"] == "Initialized"]
    assert reason["reason"] == "ContainersNotInitialized"
    assert reason["message"] == "containers with incomplete status: [init2]"
    first, second = found["status"]["initContainerStatuses"]
    assert (first["state"]["terminated"]["exitCode"], second["state"]["terminated"]["exitCode"]) == (0, 1)
    (app,) = found["status"]["containerStatuses"]
    assert app["state"]["waiting"]["reason"] == "PodInitializing"


def debugger(name: str) -> Obj:
    command = ["sh", "-c", "echo polo; sleep 600"]
    return {"name": name, "image": IMAGE, "command": command, "stdin": True, "tty": True}


@row("Ephemeral Containers will start an ephemeral container in an existing pod")
def test_an_ephemeral_container_starts_in_a_running_pod(space: Space):
    space.run(pod())
    patch = {"spec": {"ephemeralContainers": [debugger("debugger")]}}
    space.patch("v1/Pod", "pod", patch, type=STRATEGIC, sub="ephemeralcontainers")
    space.wait(lambda: runs(space, "debugger"))
    assert space.logs("pod", "-c", "debugger") == "polo\n"


def runs(space: Space, name: str) -> bool:
    statuses = space.get("v1/Pod", "pod")["status"].get("ephemeralContainerStatuses", ())
    return any(each["name"] == name and "running" in each["state"] for each in statuses)


@row("Ephemeral Containers should update the ephemeral containers in an existing pod")
def test_ephemeral_containers_are_added_one_by_one(space: Space):
    space.run(pod())
    for count, name in enumerate(("debugger", "debugger2"), 1):
        found = space.get("v1/Pod", "pod", sub="ephemeralcontainers")
        found["spec"].setdefault("ephemeralContainers", []).append(debugger(name))
        found = space.ask("PUT", "v1/Pod", "pod", found, sub="ephemeralcontainers").ok()
        assert len(found["spec"]["ephemeralContainers"]) == count
        space.wait(lambda name=name: runs(space, name))
    found = space.get("v1/Pod", "pod", sub="ephemeralcontainers")
    found["spec"]["ephemeralContainers"].pop()
    assert space.ask("PUT", "v1/Pod", "pod", found, sub="ephemeralcontainers").code == 422
