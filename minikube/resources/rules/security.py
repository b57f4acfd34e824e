"""Security contexts of pods and containers (ValidateSecurityContext, validatePodSpecSecurityContext)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from minikube.api.core_v1 import AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext
from minikube.errors import FieldError
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, not_supported, required
from minikube.resources.rules.labelling import relative_path

_ID = "must be between 0 and 2147483647, inclusive"
_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9]\Z")
_IPC = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
_ADMIN = ("SYS_ADMIN", "CAP_SYS_ADMIN")


def _identity(value: int | None, path: str) -> Iterator[FieldError]:
    if value is not None and not 0 <= value < 2**31:
        yield invalid(path, value, _ID)


def _seccomp(profile: SeccompProfile | None, path: str) -> Iterator[FieldError]:
    if profile is None:
        return
    where = f"{path}.localhostProfile"
    if profile.type == "Localhost":
        if not profile.localhost_profile:
            yield required(where, "must be set when seccomp type is Localhost")
        else:
            yield from relative_path(profile.localhost_profile, where)
    elif profile.localhost_profile:
        yield invalid(where, profile.localhost_profile, "can only be set when seccomp type is Localhost")
    if not profile.type:
        yield required(f"{path}.type", "type is required when seccompProfile is set")
    elif profile.type not in ("Localhost", "RuntimeDefault", "Unconfined"):
        yield not_supported(f"{path}.type", profile.type, ("Localhost", "RuntimeDefault", "Unconfined"))


def _app_armor(profile: AppArmorProfile | None, path: str) -> Iterator[FieldError]:
    if profile is None:
        return
    where = f"{path}.localhostProfile"
    if profile.type == "Localhost":
        if not profile.localhost_profile:
            yield required(where, "must be set when AppArmor type is Localhost")
    elif profile.localhost_profile:
        yield invalid(where, profile.localhost_profile, "can only be set when AppArmor type is Localhost")
    if not profile.type:
        yield required(f"{path}.type", "type is required when appArmorProfile is set")
    elif profile.type not in ("Localhost", "RuntimeDefault", "Unconfined"):
        yield not_supported(f"{path}.type", profile.type, ("Localhost", "RuntimeDefault", "Unconfined"))


def container_security(
    context: SecurityContext | None, path: str, *, host_users: bool | None
) -> Iterator[FieldError]:
    if context is None:
        return
    yield from _identity(context.run_as_user, f"{path}.runAsUser")
    yield from _identity(context.run_as_group, f"{path}.runAsGroup")
    if context.proc_mount not in ("", "Default", "Unmasked"):
        yield not_supported(f"{path}.procMount", context.proc_mount, ("Default", "Unmasked"))
    elif context.proc_mount == "Unmasked" and host_users is not False:
        yield invalid(f"{path}.procMount", context.proc_mount, "`hostUsers` must be false to use `Unmasked`")
    yield from _seccomp(context.seccomp_profile, f"{path}.seccompProfile")
    yield from _app_armor(context.app_armor_profile, f"{path}.appArmorProfile")
    if context.allow_privilege_escalation is False:
        if context.privileged:
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            yield invalid(path, context, why)
        if context.capabilities and any(one in _ADMIN for one in context.capabilities.add):
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            yield invalid(path, context, why)


def pod_security(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """The pod's own context, and what it shares with its host."""
    context = spec.security_context
    if context is not None:
        yield from _pod_context(context, spec, f"{path}.securityContext")
    if spec.share_process_namespace and spec.host_pid:
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{path}.shareProcessNamespace", spec.share_process_namespace, why)
    if spec.host_users is False:
        for name, used in (
            ("hostNetwork", spec.host_network),
            ("hostPID", spec.host_pid),
            ("hostIPC", spec.host_ipc),
        ):
            if used:
                yield forbidden(f"{path}.{name}", "when `hostUsers` is false")


def _pod_context(context: PodSecurityContext, spec: PodSpec, path: str) -> Iterator[FieldError]:
    yield from _identity(context.fs_group, f"{path}.fsGroup")
    yield from _identity(context.run_as_user, f"{path}.runAsUser")
    yield from _identity(context.run_as_group, f"{path}.runAsGroup")
    for index, group in enumerate(context.supplemental_groups):
        yield from _identity(group, at(f"{path}.supplementalGroups", index))
    for name, value, allowed in (
        ("fsGroupChangePolicy", context.fs_group_change_policy, ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", context.supplemental_groups_policy, ("Merge", "Strict")),
        ("seLinuxChangePolicy", context.se_linux_change_policy, ("MountOption", "Recursive")),
    ):
        if value and value not in allowed:
            yield not_supported(f"{path}.{name}", value, allowed)
    yield from _seccomp(context.seccomp_profile, f"{path}.seccompProfile")
    yield from _app_armor(context.app_armor_profile, f"{path}.appArmorProfile")
    seen: set[str] = set()
    for index, one in enumerate(context.sysctls):
        where = at(f"{path}.sysctls", index)
        if not one.name:
            yield required(f"{where}.name")
        elif len(one.name) > 253 or not _SYSCTL.match(one.name):
            why = "must have at most 253 characters and match regex ^" + _SYSCTL.pattern.replace(r"\Z", "$")
            yield invalid(f"{where}.name", one.name, why)
        elif one.name in seen:
            yield duplicate(f"{where}.name", one.name)
        if spec.host_network and one.name.startswith("net."):
            yield invalid(f"{where}.name", one.name, "may not be specified when 'hostNetwork' is true")
        if spec.host_ipc and one.name.startswith(_IPC):
            yield invalid(f"{where}.name", one.name, "may not be specified when 'hostIPC' is true")
        seen.add(one.name)
