"""The Pod Security Standards as lists of checks: kubernetes.io/docs/concepts/security/pod-security-standards.

Rules and wording: k8s.io/pod-security-admission/policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from minikube.admission.pod_security import baseline, restricted
from minikube.admission.pod_security.levels import BASELINE, PRIVILEGED, RESTRICTED, Standard
from minikube.admission.pod_security.subject import Found, Subject, Violation
from minikube.api.core_v1 import Pod


class Check(msgspec.Struct, frozen=True):
    name: str
    level: str
    run: Callable[[Subject], Found]
    since: int = 0
    instead_of: str = ""
    """The baseline check that this restricted one makes superfluous."""


def violations(standard: Standard, pod: Pod) -> list[Violation]:
    """Baseline before restricted, each by the checks' names."""
    if standard.level == PRIVILEGED:
        return []
    subject = Subject(pod, standard.minor)
    due = [one for one in CHECKS if one.since <= standard.minor and one.level in (BASELINE, standard.level)]
    replaced = {one.instead_of for one in due}
    return [found for one in due if one.name not in replaced for found in one.run(subject)]


def told(found: Iterable[Violation]) -> str:
    return ", ".join(str(one) for one in found)


CHECKS = (
    Check("appArmorProfile", BASELINE, baseline.app_armor),
    Check("capabilities_baseline", BASELINE, baseline.default_capabilities),
    Check("hostNamespaces", BASELINE, baseline.host_namespaces),
    Check("hostPathVolumes", BASELINE, baseline.host_paths),
    Check("hostPorts", BASELINE, baseline.host_ports),
    Check("hostProbesAndHostLifecycle", BASELINE, baseline.host_probes, since=34),
    Check("privileged", BASELINE, baseline.privileged),
    Check("procMount", BASELINE, baseline.proc_mount),
    Check("seLinuxOptions", BASELINE, baseline.se_linux),
    Check("seccompProfile_baseline", BASELINE, baseline.seccomp_unconfined),
    Check("sysctls", BASELINE, baseline.sysctls),
    Check("windowsHostProcess", BASELINE, baseline.windows_host_process),
    Check("allowPrivilegeEscalation", RESTRICTED, restricted.no_escalation, since=8),
    Check("capabilities_restricted", RESTRICTED, restricted.dropped_capabilities, 22, "capabilities_baseline"),
    Check("restrictedVolumes", RESTRICTED, restricted.plain_volumes, instead_of="hostPathVolumes"),
    Check("runAsNonRoot", RESTRICTED, restricted.not_root),
    Check("runAsUser", RESTRICTED, restricted.not_user_zero, since=23),
    Check("seccompProfile_restricted", RESTRICTED, restricted.seccomp_confined, 19, "seccompProfile_baseline"),
)
