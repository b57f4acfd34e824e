"""node/kubelet, node/container-runtime: logs, ends and restarts, termination messages, /etc/hosts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.rows import row
from tests.conformance.space import IMAGE, Obj, Space, pod, shell

pytestmark = pytest.mark.conformance


def main(found: Obj) -> Obj:
    """The status of the one container."""
    (status,) = found["status"]["containerStatuses"]
    return status


@row("Kubelet when scheduling a busybox command in a pod should print the output to logs")
def test_output_is_in_the_logs(space: Space):
    said = space.output(pod("pod", *shell("echo 'Hello World'; echo oops >&2")))
    assert sorted(said.splitlines()) == ["Hello World", "oops"]  # the runtime copies the two streams side by side


@row(
    "Kubelet when scheduling a busybox command that always fails in a pod should have an terminated reason",
    "Kubelet when scheduling a busybox command that always fails in a pod should be possible to delete",
)
def test_a_command_that_always_fails_tells_why_and_can_be_deleted(space: Space):
    space.create(pod("pod", "false", restartPolicy="Always"))

    def ended() -> Obj:
        status = main(space.get("v1/Pod", "pod"))
        return status["state"].get("terminated") or status["lastState"].get("terminated")

    found = space.wait(ended)
    assert (found["reason"], found["exitCode"]) == ("Error", 1)
    assert found["startedAt"] <= found["finishedAt"]
    space.delete("v1/Pod", "pod")
    space.wait(lambda: space.gone("v1/Pod", "pod"))


@row("Kubelet when scheduling an agnhost Pod with hostAliases should write entries to /etc/hosts")
def test_host_aliases_are_in_the_hosts_file(space: Space):
    aliases = [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]
    text = space.output(pod("pod", "cat", "/etc/hosts", hostAliases=aliases))
    assert "# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n" in text


def contains(*names: str, own: str = "", **spec: Any) -> Obj:
    """A pod whose containers see the node's /etc/hosts, and the one called `own` instead of theirs."""
    volume = {"name": "hosts", "hostPath": {"path": "/etc/hosts", "type": "FileOrCreate"}}
    places = {name: ["/etc/hosts-original", *(["/etc/hosts"] if name == own else [])] for name in names}
    containers = [
        {
            "name": name,
            "image": IMAGE,
            "command": ["sleep", "600"],
            "volumeMounts": [{"name": "hosts", "mountPath": place} for place in mounted],
        }
        for name, mounted in places.items()
    ]
    return pod(**spec) | {
        "metadata": {"name": spec.pop("name", "pod")},
        "spec": {"containers": containers, "volumes": [volume], "terminationGracePeriodSeconds": 0, **spec},
    }


@row("KubeletManagedEtcHosts should test kubelet managed /etc/hosts file")
def test_the_hosts_file_is_ours_unless_the_pod_has_another(space: Space):
    space.run(contains("busybox-1", "busybox-2", "busybox-3", own="busybox-3"))
    network = contains("busybox-1", "busybox-2", hostNetwork=True)
    network["metadata"]["name"] = "host"
    space.run(network)

    def managed(name: str, container: str) -> bool:
        text, original = (
            space.exec(name, "cat", f"/etc/{file}", container=container) for file in ("hosts", "hosts-original")
        )
        assert text
        return text.startswith("# Kubernetes-managed hosts file.") and text != original

    assert [managed("pod", f"busybox-{n}") for n in (1, 2, 3)] == [True, True, False]
    assert [managed("host", f"busybox-{n}") for n in (1, 2)] == [False, False]


RUNS = """
f=/restart-count/count
echo hello >> $f
case $(wc -l < $f) in 1) exit 1;; 2) exit 0;; esac
while true; do sleep 1; done
"""


@row("Container Runtime blackbox test when starting a container that exits should run with the expected status")
@pytest.mark.parametrize(
    ("policy", "phase", "state", "restarts", "is_ready"),
    [
        ("Always", "Running", "running", 2, True),
        ("OnFailure", "Succeeded", "terminated", 1, False),
        ("Never", "Failed", "terminated", 0, False),
    ],
)
def test_the_restart_policy_decides(
    space: Space, policy: str, phase: str, state: str, restarts: int, is_ready: bool
):
    """It fails, then succeeds, then runs for ever."""
    made = pod(
        "pod",
        *shell(RUNS),
        restartPolicy=policy,
        volumes=[{"name": "count", "emptyDir": {"medium": "Memory"}}],
    )
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "count", "mountPath": "/restart-count"}]
    space.create(made)
    space.wait(lambda: main(space.get("v1/Pod", "pod"))["restartCount"] == restarts, 60)
    space.wait(lambda: space.get("v1/Pod", "pod")["status"]["phase"] == phase)
    status = main(space.get("v1/Pod", "pod"))
    assert (status["ready"], list(status["state"])) == (is_ready, [state])
    space.delete("v1/Pod", "pod")
    space.wait(lambda: space.gone("v1/Pod", "pod"))


BLACKBOX = "Container Runtime blackbox test on terminated container should report termination message "
LOGS = {"terminationMessagePolicy": "FallbackToLogsOnError"}


@row(
    "Container Runtime blackbox test on terminated container should report termination message if "
    "TerminationMessagePath is set as non-root user and at a non-default path",
    "Container Runtime blackbox test on terminated container should report termination message from log output "
    "if TerminationMessagePolicy FallbackToLogsOnError is set",
    "Container Runtime blackbox test on terminated container should report termination message as empty when pod "
    "succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
    "Container Runtime blackbox test on terminated container should report termination message from file when pod "
    "succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
)
@pytest.mark.parametrize(
    ("script", "fields", "phase", "expected"),
    [
        (
            "echo -n DONE > /dev/termination-custom-log",
            {"terminationMessagePath": "/dev/termination-custom-log", "securityContext": {"runAsUser": 10000}},
            "Succeeded",
            "DONE",
        ),
        ("echo -n DONE > /dev/termination-log", {"securityContext": {"runAsUser": 0}}, "Succeeded", "DONE"),
        ("echo -n DONE; false", LOGS, "Failed", "DONE"),
        ("echo -n DONE; true", LOGS, "Succeeded", ""),
        ("echo -n OK > /dev/termination-log; echo DONE; true", LOGS, "Succeeded", "OK"),
    ],
)
def test_a_container_leaves_a_message(space: Space, script: str, fields: Obj, phase: str, expected: str):
    made = pod("pod", *shell(script))
    made["spec"]["containers"][0] |= fields
    status = main(space.finish(made, phase=phase))
    assert status["state"]["terminated"].get("message", "") == expected


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [
        ("invalid.example/none:1", "Always", "ErrImagePull"),
        ("none:never", "Never", "ErrImageNeverPull"),
        ("Wrong Name", "IfNotPresent", "InvalidImageName"),
    ],
)
def test_an_image_that_cannot_be_had_is_told(space: Space, image: str, policy: str, reason: str):
    made = pod("pod", image=image)
    made["spec"]["containers"][0]["imagePullPolicy"] = policy
    space.create(made)
    waiting = {"ErrImagePull": {"ErrImagePull", "ImagePullBackOff"}}.get(reason, {reason})
    space.wait(lambda: main(space.get("v1/Pod", "pod"))["state"]["waiting"]["reason"] in waiting)
    assert space.get("v1/Pod", "pod")["status"]["phase"] == "Pending"
