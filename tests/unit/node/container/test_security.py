"""Security contexts: the container's word over the pod's, and who may not run as root."""

from __future__ import annotations

import pytest

from minikube.api.core_v1 import (
    AppArmorProfile,
    Capabilities,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
)
from minikube.node.container.security import container_security, sandbox_security
from minikube.node.pod.problems import ConfigProblem
from minikube.node.runtime.base import SecurityContext as Effective
from tests.unit.node.seen import pod, wanted

WHOLE = PodSecurityContext(run_as_user=1001, run_as_group=2002, supplemental_groups=(3003,), fs_group=4004)


def effective(
    own: SecurityContext | None = None, whole: PodSecurityContext | None = None, image_user: str = ""
) -> Effective:
    each = wanted(security_context=own)
    return container_security(pod(main=(each,), security_context=whole), each, image_user, "/seccomp")


def test_the_container_wins_over_the_pod() -> None:
    found = effective(SecurityContext(run_as_user=7), WHOLE)
    assert (found.run_as_user, found.run_as_group, found.supplemental_groups) == (7, 2002, (3003, 4004))


@pytest.mark.parametrize(
    ("own", "image_user", "message"),
    [
        (SecurityContext(run_as_non_root=True, run_as_user=0), "", "container's runAsUser breaks non-root policy"),
        (SecurityContext(run_as_non_root=True), "", "container has runAsNonRoot and image will run as root"),
        (SecurityContext(run_as_non_root=True), "0", "container has runAsNonRoot and image will run as root"),
        (SecurityContext(run_as_non_root=True), "web",
         "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root"),
    ],
)  # fmt: skip
def test_a_non_root_policy_is_held(own: SecurityContext, image_user: str, message: str) -> None:
    with pytest.raises(ConfigProblem) as raised:
        effective(own, image_user=image_user)
    assert str(raised.value) == f'{message} (pod: "web_default(u)", container: a)'


def test_a_numeric_image_user_satisfies_it() -> None:
    assert effective(SecurityContext(run_as_non_root=True), image_user="1000").run_as_user is None


def test_a_group_comes_with_a_user() -> None:
    alone = SecurityContext(run_as_group=5)
    assert effective(alone).run_as_user == 0
    assert effective(alone, image_user="1000").run_as_user == 1000
    assert effective(alone, image_user="web").run_as_username == "web"


@pytest.mark.parametrize(
    ("own", "whole", "seccomp"),
    [
        (None, None, ""),
        (None, PodSecurityContext(seccomp_profile=SeccompProfile(type="RuntimeDefault")), "runtime/default"),
        (SecurityContext(seccomp_profile=SeccompProfile(type="Localhost", localhost_profile="p.json")), None,
         "localhost//seccomp/p.json"),
        (SecurityContext(seccomp_profile=SeccompProfile(type="Unconfined")),
         PodSecurityContext(seccomp_profile=SeccompProfile(type="RuntimeDefault")), ""),
        (SecurityContext(privileged=True),
         PodSecurityContext(seccomp_profile=SeccompProfile(type="RuntimeDefault")), ""),
    ],
)  # fmt: skip
def test_seccomp_profiles(own: SecurityContext | None, whole: PodSecurityContext | None, seccomp: str) -> None:
    assert effective(own, whole).seccomp == seccomp


def test_the_rest_is_passed_on() -> None:
    own = SecurityContext(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        proc_mount="Unmasked",
        capabilities=Capabilities(add=("NET_ADMIN",), drop=("ALL",)),
        app_armor_profile=AppArmorProfile(type="Localhost", localhost_profile="web"),
    )
    found = effective(own)
    assert (found.no_new_privileges, found.read_only_root_filesystem, found.masked_paths) == (True, True, False)
    assert (found.add_capabilities, found.drop_capabilities) == (("NET_ADMIN",), ("ALL",))
    assert found.apparmor == "localhost/web"


def test_a_privileged_container_makes_its_sandbox_privileged() -> None:
    privileged = pod(main=(wanted(security_context=SecurityContext(privileged=True)),))
    assert sandbox_security(privileged).privileged
    assert not sandbox_security(pod()).privileged
