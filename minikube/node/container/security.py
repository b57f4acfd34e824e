"""The effective security context of a sandbox and of a container, as the runtime is asked for it. Pure."""

from __future__ import annotations

from minikube.api.core_v1 import Container, Pod, PodSecurityContext
from minikube.api.core_v1 import SecurityContext as Own
from minikube.node.pod.pods import every_container
from minikube.node.pod.problems import ConfigProblem
from minikube.node.runtime.base import SecurityContext

RUNTIME_DEFAULT = "runtime/default"
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
NOTHING, NOTHING_OWN = PodSecurityContext(), Own()


def sandbox_security(pod: Pod, first_user: int = 0) -> SecurityContext:
    """`first_user`: see SecurityContext."""
    whole = pod.spec.security_context or NOTHING
    privileged = any(
        each.security_context is not None and each.security_context.privileged for each in every_container(pod)
    )
    return SecurityContext(
        run_as_user=whole.run_as_user,
        run_as_group=whole.run_as_group,
        supplemental_groups=_groups(whole),
        privileged=privileged,
        host_network=bool(pod.spec.host_network),
        host_pid=bool(pod.spec.host_pid),
        host_ipc=bool(pod.spec.host_ipc),
        share_process_namespace=bool(pod.spec.share_process_namespace),
        first_user=first_user,
        seccomp=RUNTIME_DEFAULT,
    )


def container_security(
    pod: Pod,
    wanted: Container,
    image_user: str,
    seccomp_root: str,
    target: str = "",
    *,
    confine: bool = False,
    first_user: int = 0,
) -> SecurityContext:
    """The container's settings win over the pod's. `target`: the container whose processes it sees; `confine`: with
    the runtime's seccomp profile unless it asks for another; `first_user`: as its sandbox has it.

    Raises ConfigProblem when runAsNonRoot does not hold.
    """
    whole, own = pod.spec.security_context or NOTHING, wanted.security_context or NOTHING_OWN
    user = own.run_as_user if own.run_as_user is not None else whole.run_as_user
    group = own.run_as_group if own.run_as_group is not None else whole.run_as_group
    non_root = own.run_as_non_root if own.run_as_non_root is not None else whole.run_as_non_root
    if non_root:
        _verify_non_root(pod, wanted, user, image_user)
    added, dropped = (own.capabilities.add, own.capabilities.drop) if own.capabilities else ((), ())
    if group is not None and user is None and (image_user.isdigit() or not image_user):
        user = int(image_user or 0)  # the runtime takes a group only together with a user
    return SecurityContext(
        run_as_user=user,
        run_as_group=group,
        run_as_username=image_user if group is not None and user is None else "",
        supplemental_groups=_groups(whole),
        supplemental_groups_policy=whole.supplemental_groups_policy,
        privileged=bool(own.privileged),
        read_only_root_filesystem=bool(own.read_only_root_filesystem),
        no_new_privileges=own.allow_privilege_escalation is False,
        add_capabilities=added,
        drop_capabilities=dropped,
        seccomp="" if own.privileged else _seccomp(own, whole, seccomp_root, confine=confine),
        apparmor=_apparmor(pod, wanted, own, whole),
        masked_paths=own.proc_mount != "Unmasked",
        host_network=bool(pod.spec.host_network),
        host_pid=bool(pod.spec.host_pid),
        host_ipc=bool(pod.spec.host_ipc),
        share_process_namespace=bool(pod.spec.share_process_namespace),
        target_container=target,
        first_user=first_user,
    )


def _groups(whole: PodSecurityContext) -> tuple[int, ...]:
    extra = () if whole.fs_group is None else (whole.fs_group,)
    return tuple(dict.fromkeys((*whole.supplemental_groups, *extra)))


def _verify_non_root(pod: Pod, wanted: Container, user: int | None, image_user: str) -> None:
    """kuberuntime verifyRunAsNonRoot. `image_user`: a uid in decimal, a name, or empty for root."""
    meta = pod.metadata
    where = f'(pod: "{meta.name}_{meta.namespace}({meta.uid})", container: {wanted.name})'
    if user == 0:
        raise ConfigProblem(f"container's runAsUser breaks non-root policy {where}")
    if user is not None:
        return
    name = image_user.partition(":")[0]
    if name in ("", "0"):
        raise ConfigProblem(f"container has runAsNonRoot and image will run as root {where}")
    if not name.isdigit():
        raise ConfigProblem(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {where}"
        )


def _seccomp(own: Own, whole: PodSecurityContext, root: str, *, confine: bool) -> str:
    profile = own.seccomp_profile or whole.seccomp_profile
    if profile is None and confine:
        return RUNTIME_DEFAULT
    if profile is None or profile.type == "Unconfined":
        return ""
    if profile.type == "Localhost":
        return f"localhost/{root}/{profile.localhost_profile}"
    return RUNTIME_DEFAULT


def confined(pod: Pod, wanted: Container) -> bool:
    """Whether it asks for an AppArmor profile."""
    own, whole = wanted.security_context or NOTHING_OWN, pod.spec.security_context or NOTHING
    return _apparmor(pod, wanted, own, whole) not in ("", "unconfined")


def _apparmor(pod: Pod, wanted: Container, own: Own, whole: PodSecurityContext) -> str:
    """runtime/default, unconfined, localhost/<name>, or nothing said."""
    profile = own.app_armor_profile or whole.app_armor_profile
    if profile is None:
        return pod.metadata.annotations.get(APPARMOR_ANNOTATION + wanted.name, "")
    if profile.type == "Localhost":
        return f"localhost/{profile.localhost_profile}"
    return RUNTIME_DEFAULT if profile.type == "RuntimeDefault" else "unconfined"
