"""Pod specs, wherever they are: in pods, templates, workloads (ValidatePodSpec, ValidatePodTemplateSpec)."""

from __future__ import annotations

from collections.abc import Iterator

from minikube.api import quantity
from minikube.api.core_v1 import PodDNSConfig, PodSpec, PodTemplateSpec
from minikube.api.names import (
    ip_problems,
    label_problems,
    qualified_name_problems,
    subdomain_problems,
)
from minikube.errors import FieldError
from minikube.resources.rules.containers import containers, ephemeral_containers, init_containers
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, key, one_of, required
from minikube.resources.rules.labelling import labels, template_metadata
from minikube.resources.rules.placement import pod_placement
from minikube.resources.rules.pod_level import pod_resources
from minikube.resources.rules.security import pod_security
from minikube.resources.rules.volumes import volumes

RESTART_POLICIES = ("Always", "Never", "OnFailure")
_LONGEST_SEARCH = 2048
_DNS = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")


def pod_spec(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """Everything wrong with a pod spec."""
    yield from volumes(spec.volumes, f"{path}.volumes")
    yield from containers(spec, f"{path}.containers")
    yield from init_containers(spec, f"{path}.initContainers")
    yield from ephemeral_containers(spec, f"{path}.ephemeralContainers")
    yield from _policies(spec, path)
    yield from pod_security(spec, path)
    yield from pod_placement(spec, path)
    yield from _names(spec, path)
    yield from _network(spec, path)
    yield from _gates(spec, path)
    yield from pod_resources(spec, path)
    for name, amount in spec.overhead.items():
        if quantity.valid(amount) and quantity.parse(amount) < 0:
            why = "must be greater than or equal to 0"
            yield invalid(key(f"{path}.overhead", name), quantity.canonical(amount), why)


def pod_template(template: PodTemplateSpec | None, path: str) -> Iterator[FieldError]:
    if template is None:
        yield required(path)
        return
    yield from template_metadata(template.metadata, f"{path}.metadata")
    yield from pod_spec(template.spec, f"{path}.spec")
    if template.spec.ephemeral_containers:
        yield forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def _policies(spec: PodSpec, path: str) -> Iterator[FieldError]:
    yield from one_of(f"{path}.restartPolicy", spec.restart_policy, RESTART_POLICIES)
    yield from one_of(f"{path}.dnsPolicy", spec.dns_policy, _DNS)
    if spec.preemption_policy:
        allowed = ("Never", "PreemptLowerPriority")
        yield from one_of(f"{path}.preemptionPolicy", spec.preemption_policy, allowed)
    deadline = spec.active_deadline_seconds
    if deadline is not None and not 1 <= deadline < 2**31:
        yield invalid(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    if spec.os and not spec.os.name:
        yield required(f"{path}.os.name", "cannot be empty")
    elif spec.os:
        yield from one_of(f"{path}.os.name", spec.os.name, ("linux", "windows"))


def _names(spec: PodSpec, path: str) -> Iterator[FieldError]:
    yield from labels(spec.node_selector, f"{path}.nodeSelector")
    for field, name in (
        ("serviceAccountName", spec.service_account_name),
        ("nodeName", spec.node_name),
        ("priorityClassName", spec.priority_class_name),
        ("runtimeClassName", spec.runtime_class_name),
    ):
        for why in subdomain_problems(name) if name else ():
            yield invalid(f"{path}.{field}", name, why)
    for index, ref in enumerate(spec.image_pull_secrets):
        for why in subdomain_problems(ref.name) if ref.name else ():
            yield invalid(f"{at(f'{path}.imagePullSecrets', index)}.name", ref.name, why)
    seen: set[str] = set()
    for index, claim in enumerate(spec.resource_claims):
        where = at(f"{path}.resourceClaims", index)
        if not claim.name:
            yield required(f"{where}.name")
        for why in label_problems(claim.name) if claim.name else ():
            yield invalid(f"{where}.name", claim.name, why)
        if claim.name in seen:
            yield duplicate(f"{where}.name", claim.name)
        seen.add(claim.name)
        both = bool(claim.resource_claim_name), bool(claim.resource_claim_template_name)
        if both == (True, True):
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            yield invalid(where, claim, why)
        elif both == (False, False):
            why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            yield invalid(where, claim, why)
        for field, name in (
            ("resourceClaimName", claim.resource_claim_name),
            ("resourceClaimTemplateName", claim.resource_claim_template_name),
        ):
            for why in subdomain_problems(name) if name else ():
                yield invalid(f"{where}.{field}", name, why)


def _network(spec: PodSpec, path: str) -> Iterator[FieldError]:
    for field, name in (("hostname", spec.hostname), ("subdomain", spec.subdomain)):
        for why in label_problems(name) if name else ():
            yield invalid(f"{path}.{field}", name, why)
    for index, alias in enumerate(spec.host_aliases):
        where = at(f"{path}.hostAliases", index)
        for why in ip_problems(alias.ip):
            yield invalid(f"{where}.ip", alias.ip, why)
        for number, name in enumerate(alias.hostnames):
            for why in subdomain_problems(name):
                yield invalid(at(f"{where}.hostnames", number), name, why)
    yield from _dns(spec.dns_config, spec.dns_policy, f"{path}.dnsConfig")


def _dns(config: PodDNSConfig | None, policy: str, path: str) -> Iterator[FieldError]:
    if policy == "None":
        if config is None:
            yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.nameservers:
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(f"{path}.nameservers", why)
            return
    if config is None:
        return
    if len(config.nameservers) > 3:
        yield invalid(f"{path}.nameservers", config.nameservers, "must not have more than 3 nameservers")
    for index, server in enumerate(config.nameservers):
        for why in ip_problems(server):
            yield invalid(at(f"{path}.nameservers", index), server, why)
    if len(config.searches) > 32:
        yield invalid(f"{path}.searches", config.searches, "must not have more than 32 search paths")
    if len(" ".join(config.searches)) > _LONGEST_SEARCH:
        why = f"must not have more than {_LONGEST_SEARCH} characters (including spaces) in the search list"
        yield invalid(f"{path}.searches", config.searches, why)
    for index, search in enumerate(config.searches):
        for why in subdomain_problems(search.removesuffix(".").replace("_", "-")) if search != "." else ():
            yield invalid(at(f"{path}.searches", index), search, why)
    for index, option in enumerate(config.options):
        if not option.name:
            yield required(at(f"{path}.options", index), "must not be empty")


def _gates(spec: PodSpec, path: str) -> Iterator[FieldError]:
    for index, readiness in enumerate(spec.readiness_gates):
        for why in qualified_name_problems(readiness.condition_type):
            where = f"{at(f'{path}.readinessGates', index)}.conditionType"
            yield invalid(where, readiness.condition_type, why)
    seen: set[str] = set()
    for index, gate in enumerate(spec.scheduling_gates):
        where = at(f"{path}.schedulingGates", index)
        for why in qualified_name_problems(gate.name):
            yield invalid(where, gate.name, why)
        if gate.name in seen:
            yield duplicate(where, gate.name)
        seen.add(gate.name)
    if spec.scheduling_gates and spec.node_name:
        why = "cannot be set until all schedulingGates have been cleared"
        yield forbidden(f"{path}.nodeName", why)
