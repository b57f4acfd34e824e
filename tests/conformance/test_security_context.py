"""node/security-context, node/sysctl: who a container is and what it may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod, shell

pytestmark = pytest.mark.conformance


def secured(made: Obj, **context: Any) -> Obj:
    made["spec"]["containers"][0]["securityContext"] = context
    return made


@row(
    "Security Context When creating a container with runAsUser should run the container with uid 65534",
    "Security Context should support container.SecurityContext.RunAsUser And container.SecurityContext.RunAsGroup",
    "Security Context should support pod.Spec.SecurityContext.RunAsUser And pod.Spec.SecurityContext.RunAsGroup",
)
@pytest.mark.parametrize(
    ("of_pod", "of_container", "expected"),
    [
        ({}, {"runAsUser": 65534}, "uid=65534 gid=0"),
        ({}, {"runAsUser": 0}, "uid=0 gid=0"),
        ({}, {"runAsUser": 1001, "runAsGroup": 2002}, "uid=1001 gid=2002"),
        ({"runAsUser": 1001, "runAsGroup": 2002}, {}, "uid=1001 gid=2002"),
        ({"runAsUser": 1001, "supplementalGroups": [1234, 5678]}, {}, "uid=1001 gid=0 groups=0,1234,5678"),
        ({"runAsUser": 1}, {"runAsUser": 2}, "uid=2 gid=0"),
    ],
)
def test_a_container_runs_as_it_is_told(space: Space, of_pod: Obj, of_container: Obj, expected: str):
    made = secured(pod("pod", "id", securityContext=of_pod), **of_container)
    assert space.output(made).strip().removesuffix(" groups=0").startswith(expected)


@row("Security Context When creating a pod with privileged should run the container as unprivileged when false")
def test_only_a_privileged_container_may_change_its_network(space: Space):
    script = shell("ip link add dummy0 type veth || true")
    assert "Operation not permitted" in space.output(secured(pod("not", *script), privileged=False))
    assert space.output(secured(pod("privileged", *script), privileged=True)) == ""


@row(
    "Security Context When creating a pod with readOnlyRootFilesystem should run the container with writable "
    "rootfs when readOnlyRootFilesystem=false",
    "Kubelet when scheduling a read only busybox container should not write to root filesystem",
)
def test_the_root_file_system_is_written_unless_it_is_read_only(space: Space):
    script = shell("touch checkfile; echo $?")
    assert space.output(secured(pod("writes", *script), readOnlyRootFilesystem=False)) == "0\n"
    said = space.output(secured(pod("reads", *script), readOnlyRootFilesystem=True))
    assert said.endswith("1\n")
    assert "Read-only file system" in said


@row(
    "Security Context when creating containers with AllowPrivilegeEscalation should not allow privilege escalation when false"
)
@pytest.mark.parametrize(("allowed", "expected"), [(False, "1"), (True, "0"), (None, "0")])
def test_no_new_privileges_unless_escalation_is_allowed(space: Space, allowed: bool | None, expected: str):
    context = {"runAsUser": 1000, **({} if allowed is None else {"allowPrivilegeEscalation": allowed})}
    made = secured(pod("pod", *shell("grep NoNewPrivs /proc/self/status")), **context)
    assert space.output(made).split() == ["NoNewPrivs:", expected]


@row("Sysctls should support sysctls")
def test_a_safe_sysctl_is_set_in_the_pod(space: Space):
    sysctls = [{"name": "kernel.shm_rmid_forced", "value": "1"}]
    made = pod("pod", "cat", "/proc/sys/kernel/shm_rmid_forced", securityContext={"sysctls": sysctls})
    assert space.output(made) == "1\n"


@row("Sysctls should reject invalid sysctls")
def test_bad_names_of_sysctls_are_refused(space: Space):
    names = ("foo-", "kernel.shmmax", "safe-and-unsafe", "bar..")
    sysctls = [{"name": name, "value": "100000000"} for name in names]
    message = space.ask("POST", "v1/Pod", body=pod("pod", securityContext={"sysctls": sysctls})).refused(
        422, "Invalid"
    )
    assert 'Invalid value: "foo-"' in message
    assert 'Invalid value: "bar.."' in message
    assert "safe-and-unsafe" not in message
    assert "kernel.shmmax" not in message


def test_an_unsafe_sysctl_is_refused_by_the_node(space: Space):
    sysctls = [{"name": "kernel.msgmax", "value": "10000000000"}]
    found = space.finish(pod("pod", securityContext={"sysctls": sysctls}), phase="Failed")
    assert found["status"]["reason"] == "SysctlForbidden"
