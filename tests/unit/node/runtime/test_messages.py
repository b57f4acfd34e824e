"""User namespaces in the words of CRI."""

from __future__ import annotations

from minikube.node.runtime import messages
from minikube.node.runtime.base import ContainerSpec, Mount, SandboxSpec, SecurityContext

SPEC = ContainerSpec("c", 0, "image", mounts=(Mount("/host", "/inside"),))
NODE, POD = 2, 0


def test_a_pod_without_a_range_has_the_hosts_users() -> None:
    options = messages.sandbox_config(SandboxSpec("u", "p", "default")).linux.security_context.namespace_options
    assert (options.userns_options.mode, list(options.userns_options.uids)) == (NODE, [])
    assert not messages.container_config(SPEC).mounts[0].uidMappings


def test_sandbox_containers_and_their_mounts_have_the_same_range() -> None:
    security = SecurityContext(first_user=131072)
    sandbox = messages.sandbox_config(SandboxSpec("u", "p", "default", security=security))
    container = messages.container_config(ContainerSpec("c", 0, "image", mounts=SPEC.mounts, security=security))
    found = sandbox.linux.security_context.namespace_options.userns_options
    assert container.linux.security_context.namespace_options.userns_options == found
    assert found.mode == POD
    [uids], [gids] = found.uids, found.gids
    assert (uids.container_id, uids.host_id, uids.length) == (0, 131072, 65536)
    assert gids == uids
    assert (list(container.mounts[0].uidMappings), list(container.mounts[0].gidMappings)) == ([uids], [gids])
