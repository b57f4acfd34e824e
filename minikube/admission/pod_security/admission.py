"""PodSecurity: pods that do not meet their namespace's standard are refused or warned about; what makes pods is
warned about.

Rules: kubernetes.io/docs/concepts/security/pod-security-admission.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.admission.pod_security.checks import told, violations
from minikube.admission.pod_security.levels import PRIVILEGED, Policy, Standard, policy_of
from minikube.api.core_v1 import Namespace, Pod
from minikube.api.meta import from_dict
from minikube.client.base import Lister
from minikube.errors import Forbidden, Invalid

TEMPLATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "podtemplates"): ("template",),
    ("", "replicationcontrollers"): ("spec", "template"),
    ("apps", "daemonsets"): ("spec", "template"),
    ("apps", "deployments"): ("spec", "template"),
    ("apps", "replicasets"): ("spec", "template"),
    ("apps", "statefulsets"): ("spec", "template"),
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
    ("batch", "jobs"): ("spec", "template"),
}
"""Where the kinds that make pods keep their template."""
CHANGING = ("", "ephemeralcontainers", "resize")
"""Subresources of a pod that carry its spec."""
MOST_PODS = 3000


class PodSecurity:
    name: ClassVar[str] = "PodSecurity"

    def __init__(self, namespaces: Lister[Namespace], pods: Lister[Pod]) -> None:
        self._namespaces = namespaces
        self._pods = pods

    async def validate(self, request: Attributes) -> None:
        if request.object is None or request.operation not in ("CREATE", "UPDATE"):
            return
        key = (request.resource.group, request.resource.plural)
        if key == ("", "namespaces"):
            self._namespace(request)
        elif key == ("", "pods"):
            self._pod(request)
        elif key in TEMPLATES and not request.subresource:
            self._template(request, TEMPLATES[key])

    def _policy(self, namespace: str) -> Policy:
        found = self._namespaces.get(namespace)
        return policy_of(found.metadata.labels) if found is not None else Policy()

    def _pod(self, request: Attributes) -> None:
        policy = self._policy(request.namespace)
        if request.subresource not in CHANGING or not _watched(policy.enforce, policy.warn, policy.audit):
            return
        assert request.object is not None
        if request.old is not None and not _significant(request.object, request.old):
            return
        pod = from_dict(Pod, request.object)
        broken = violations(policy.enforce, pod)
        if broken:
            why = f'violates PodSecurity "{policy.enforce}": {told(broken)}'
            raise Forbidden.of("pods", "", request.name, why)
        _comment(request, policy, pod)

    def _template(self, request: Attributes, path: Sequence[str]) -> None:
        policy = self._policy(request.namespace)
        if not _watched(policy.warn, policy.audit):
            return
        template: Any = request.object
        for name in path:
            template = (template or {}).get(name)
        if template:
            metadata = template.get("metadata") or {}
            _comment(request, policy, from_dict(Pod, {"metadata": metadata, "spec": template.get("spec") or {}}))

    def _namespace(self, request: Attributes) -> None:
        if request.subresource:
            return
        new, old = _labels_policy(request.object), _labels_policy(request.old)
        if new.problems and (request.old is None or new.problems != old.problems):
            raise Invalid.of("Namespace", "", request.name, new.problems)
        tightened = new.enforce.minor != old.enforce.minor or new.enforce.stricter_than(old.enforce)
        if request.old is not None and new.enforce != old.enforce and tightened and _watched(new.enforce):
            request.warnings.extend(self._existing(request.name, new.enforce))

    def _existing(self, namespace: str, standard: Standard) -> Iterator[str]:
        """What the pods that are already there break; pods with the same fault are told together."""
        pods = sorted(self._pods.list(namespace), key=lambda pod: pod.metadata.name)
        faults = {
            pod.metadata.name: ", ".join(v.reason for v in violations(standard, pod)) for pod in pods[:MOST_PODS]
        }
        count = Counter(fault for fault in faults.values() if fault)
        if len(pods) > MOST_PODS:
            checked = f"the first {MOST_PODS} of {len(pods)} existing pods"
            yield f"new PodSecurity enforce level only checked against {checked}"
        if count:
            yield f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{standard}"'
        first = {fault: next(name for name, own in faults.items() if own == fault) for fault in count}
        yield from sorted(f"{first[fault]}{_others(count[fault] - 1)}: {fault}" for fault in count)


def _comment(request: Attributes, policy: Policy, pod: Pod) -> None:
    warned = violations(policy.warn, pod)
    if warned:
        request.warnings.append(f'would violate PodSecurity "{policy.warn}": {told(warned)}')
    audited = violations(policy.audit, pod)
    if audited:
        note = f'would violate PodSecurity "{policy.audit}": {told(audited)}'
        request.annotations["pod-security.kubernetes.io/audit-violations"] = note


def _watched(*standards: Standard) -> bool:
    return any(standard.level != PRIVILEGED for standard in standards)


def _labels_policy(namespace: Mapping[str, Any] | None) -> Policy:
    return policy_of(((namespace or {}).get("metadata") or {}).get("labels") or {})


def _significant(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether an update touches what a standard may speak of: containers and their images."""

    def parts(pod: Mapping[str, Any]) -> list[Any]:
        spec = pod.get("spec") or {}
        fields = ("containers", "initContainers", "ephemeralContainers")
        return [
            [(one.get("name"), one.get("image"), one.get("securityContext")) for one in spec.get(field) or ()]
            for field in fields
        ]

    return parts(new) != parts(old)


def _others(count: int) -> str:
    if not count:
        return ""
    return f" (and {count} other pod{'s' if count > 1 else ''})"
