"""The checks that the restricted standard adds."""

from __future__ import annotations

import msgspec

from minikube.admission.pod_security.baseline import seccomp_unconfined
from minikube.admission.pod_security.subject import (
    CONFINED,
    Found,
    Subject,
    Violation,
    named,
    plural,
    pod_seccomp,
    quoted,
)
from minikube.kit.structs import fields

PLAIN_VOLUMES = (
    "config_map", "csi", "downward_api", "empty_dir", "ephemeral", "image", "persistent_volume_claim", "projected",
    "secret",
)  # fmt: skip


def no_escalation(subject: Subject) -> Found:
    bad = [one.name for one, context in subject.containers if context.allow_privilege_escalation is not False]
    if bad and not subject.windows:
        detail = f"{named(bad)} must set securityContext.allowPrivilegeEscalation=false"
        yield Violation("allowPrivilegeEscalation != false", detail)


def dropped_capabilities(subject: Subject) -> Found:
    if subject.windows:
        return
    keeping, adding, added = [], [], set()
    for container, context in subject.containers:
        capabilities = context.capabilities
        if capabilities is None or "ALL" not in capabilities.drop:
            keeping.append(container.name)
        extra = set(capabilities.add) - {"NET_BIND_SERVICE"} if capabilities is not None else set()
        if extra:
            adding.append(container.name)
            added |= extra
    said = []
    if keeping:
        said.append(f'{named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        names = quoted(sorted(added))
        said.append(f"{named(adding)} must not include {names} in securityContext.capabilities.add")
    if said:
        yield Violation("unrestricted capabilities", "; ".join(said))


def plain_volumes(subject: Subject) -> Found:
    bad: dict[str, str] = {}
    for volume in subject.spec.volumes:
        if not any(getattr(volume, source) is not None for source in PLAIN_VOLUMES):
            bad[volume.name] = volume_type(volume)
    if bad:
        types = sorted(set(bad.values()))
        verb = "use" if len(bad) > 1 else "uses"
        kinds = plural("restricted volume type", types)
        detail = f"{plural('volume', bad)} {quoted(bad)} {verb} {kinds} {quoted(types)}"
        yield Violation("restricted volume types", detail)


def not_root(subject: Subject) -> Found:
    context = subject.spec.security_context
    pod_level = context.run_as_non_root if context else None
    if subject.own_users:
        return
    explicit = [one.name for one, own in subject.containers if own.run_as_non_root is False]
    setters = (["pod"] if pod_level is False else []) + ([named(explicit)] if explicit else [])
    if setters:
        detail = f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
        yield Violation("runAsNonRoot != true", detail)
        return
    silent = [one.name for one, own in subject.containers if own.run_as_non_root is None]
    if silent and not pod_level:
        yield Violation(
            "runAsNonRoot != true", f"pod or {named(silent)} must set securityContext.runAsNonRoot=true"
        )


def not_user_zero(subject: Subject) -> Found:
    if subject.own_users:
        return
    context = subject.spec.security_context
    names = [one.name for one, own in subject.containers if own.run_as_user == 0]
    setters = (["pod"] if context and context.run_as_user == 0 else []) + ([named(names)] if names else [])
    if setters:
        yield Violation("runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0")


def seccomp_confined(subject: Subject) -> Found:
    if subject.windows:
        return
    explicit = list(seccomp_unconfined(subject))
    if explicit:
        yield from explicit
        return
    silent = [one.name for one, context in subject.containers if context.seccomp_profile is None]
    if silent and pod_seccomp(subject) not in CONFINED:
        detail = f'{named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        yield Violation("seccompProfile", f"pod or {detail}")


def volume_type(volume: msgspec.Struct) -> str:
    for field in fields(type(volume)):
        if field.name != "name" and getattr(volume, field.name) is not None:
            return field.encode_name
    return "unknown"
