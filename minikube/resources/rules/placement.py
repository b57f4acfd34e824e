"""What a pod says about nodes: tolerations, affinity, spread (validateTolerations, validateAffinity …)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minikube.api.core_v1 import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinityTerm,
    PodSpec,
    Toleration,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from minikube.api.meta_v1 import LabelSelector
from minikube.api.names import label_problems, label_value_problems, subdomain_problems
from minikube.errors import FieldError
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, not_supported, required
from minikube.resources.rules.labelling import key_and_values, label_name, label_selector, operator_of_a_set

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_TOLERATING = ("", "Equal", "Exists", "Lt", "Gt")


def tolerations(given: Sequence[Toleration], path: str) -> Iterator[FieldError]:
    for index, one in enumerate(given):
        yield from _toleration(one, at(path, index))


def _toleration(one: Toleration, path: str) -> Iterator[FieldError]:
    if one.key:
        yield from label_name(one.key, f"{path}.key")
    elif one.operator != "Exists":
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid(f"{path}.operator", one.operator, why)
    if one.toleration_seconds is not None and one.effect != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid(f"{path}.effect", one.effect, why)
    if one.operator == "Exists":
        if one.value:
            yield invalid(f"{path}.operator", one, "value must be empty when `operator` is 'Exists'")
    elif one.operator not in _TOLERATING:
        yield not_supported(f"{path}.operator", one.operator, ("Equal", "Exists"))
    elif wrong := ";".join(label_value_problems(one.value)):
        yield invalid(f"{path}.operator", one.value, wrong)
    if one.effect and one.effect not in _EFFECTS:
        yield not_supported(f"{path}.effect", one.effect, _EFFECTS)


def node_selector(selector: NodeSelector, path: str) -> Iterator[FieldError]:
    if not selector.node_selector_terms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(selector.node_selector_terms):
        yield from node_term(term, at(f"{path}.nodeSelectorTerms", index))


def node_term(term: NodeSelectorTerm, path: str) -> Iterator[FieldError]:
    for index, one in enumerate(term.match_expressions):
        yield from _expression(one, at(f"{path}.matchExpressions", index))
    for index, one in enumerate(term.match_fields):
        yield from _field(one, at(f"{path}.matchFields", index))


def _expression(one: NodeSelectorRequirement, path: str) -> Iterator[FieldError]:
    if one.operator not in ("Gt", "Lt"):
        yield from operator_of_a_set(one, path)
    elif len(one.values) != 1:
        yield required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    yield from key_and_values(one, path)


def _field(one: NodeSelectorRequirement, path: str) -> Iterator[FieldError]:
    if one.operator not in ("In", "NotIn"):
        yield invalid(f"{path}.operator", one.operator, "not a valid selector operator")
    elif len(one.values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required(f"{path}.values", why)
    if one.key != "metadata.name":
        yield invalid(f"{path}.key", one.key, "not a valid field selector key")
        return
    for index, value in enumerate(one.values):
        for why in subdomain_problems(value):
            yield invalid(at(f"{path}.values", index), value, why)


def affinity(given: Affinity | None, path: str) -> Iterator[FieldError]:
    if given is None:
        return
    if given.node_affinity:
        yield from _node_affinity(given.node_affinity, f"{path}.nodeAffinity")
    for name, of in (("podAffinity", given.pod_affinity), ("podAntiAffinity", given.pod_anti_affinity)):
        if of is None:
            continue
        required_path = f"{path}.{name}.requiredDuringSchedulingIgnoredDuringExecution"
        for index, term in enumerate(of.required_during_scheduling_ignored_during_execution):
            yield from _pod_term(term, at(required_path, index))
        preferred_path = f"{path}.{name}.preferredDuringSchedulingIgnoredDuringExecution"
        for index, weighted in enumerate(of.preferred_during_scheduling_ignored_during_execution):
            yield from _weighted(weighted, at(preferred_path, index))


def _node_affinity(given: NodeAffinity, path: str) -> Iterator[FieldError]:
    if needed := given.required_during_scheduling_ignored_during_execution:
        yield from node_selector(needed, f"{path}.requiredDuringSchedulingIgnoredDuringExecution")
    for index, one in enumerate(given.preferred_during_scheduling_ignored_during_execution):
        where = at(f"{path}.preferredDuringSchedulingIgnoredDuringExecution", index)
        yield from _weight(one.weight, where)
        yield from node_term(one.preference, f"{where}.preference")


def _weight(weight: int, path: str) -> Iterator[FieldError]:
    if not 1 <= weight <= 100:
        yield invalid(f"{path}.weight", weight, "must be in the range 1-100")


def _weighted(given: WeightedPodAffinityTerm, path: str) -> Iterator[FieldError]:
    yield from _weight(given.weight, path)
    yield from _pod_term(given.pod_affinity_term, f"{path}.podAffinityTerm")


def _pod_term(term: PodAffinityTerm, path: str) -> Iterator[FieldError]:
    yield from label_selector(term.label_selector, f"{path}.labelSelector")
    yield from label_selector(term.namespace_selector, f"{path}.namespaceSelector")
    for name in term.namespaces:
        for why in label_problems(name):
            yield invalid(f"{path}.namespace", name, why)
    for keys, where in (
        (term.match_label_keys, f"{path}.matchLabelKeys"),
        (term.mismatch_label_keys, f"{path}.mismatchLabelKeys"),
    ):
        for index, one in enumerate(keys):
            yield from label_name(one, at(where, index))
    yield from _topology_key(term.topology_key, f"{path}.topologyKey")


def _topology_key(given: str, path: str) -> Iterator[FieldError]:
    if not given:
        yield required(path, "can not be empty")
    else:
        yield from label_name(given, path)


def spread(given: Sequence[TopologySpreadConstraint], path: str) -> Iterator[FieldError]:
    seen: set[tuple[str, str]] = set()
    for index, one in enumerate(given):
        where = at(path, index)
        yield from _constraint(one, where)
        pair = (one.topology_key, one.when_unsatisfiable)
        if pair in seen:
            shown = f"{{{pair[0]}, {pair[1]}}}"
            yield duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", shown)
        seen.add(pair)


def _constraint(one: TopologySpreadConstraint, path: str) -> Iterator[FieldError]:
    if one.max_skew <= 0:
        yield invalid(f"{path}.maxSkew", one.max_skew, "must be greater than zero")
    yield from _topology_key(one.topology_key, f"{path}.topologyKey")
    if one.when_unsatisfiable not in ("DoNotSchedule", "ScheduleAnyway"):
        allowed = ("DoNotSchedule", "ScheduleAnyway")
        yield not_supported(f"{path}.whenUnsatisfiable", one.when_unsatisfiable, allowed)
    if one.min_domains is not None:
        if one.min_domains <= 0:
            yield invalid(f"{path}.minDomains", one.min_domains, "must be greater than zero")
        if one.when_unsatisfiable != "DoNotSchedule":
            why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {one.when_unsatisfiable}"
            yield invalid(f"{path}.minDomains", one.min_domains, why)
    for name, policy in (
        ("nodeAffinityPolicy", one.node_affinity_policy),
        ("nodeTaintsPolicy", one.node_taints_policy),
    ):
        if policy not in ("", "Honor", "Ignore"):
            yield not_supported(f"{path}.{name}", policy, ("Honor", "Ignore"))
    yield from label_selector(one.label_selector, f"{path}.labelSelector")
    yield from _label_keys(one.match_label_keys, one.label_selector, f"{path}.matchLabelKeys")


def _label_keys(given: Sequence[str], selector: LabelSelector | None, path: str) -> Iterator[FieldError]:
    """Keys whose values of the pod itself are added to a selector."""
    if given and selector is None:
        yield forbidden(path, "must not be specified when labelSelector is not set")
    taken = {*selector.match_labels, *(one.key for one in selector.match_expressions)} if selector else set()
    for index, name in enumerate(given):
        yield from label_name(name, at(path, index))
        if name in taken:
            yield invalid(at(path, index), name, "exists in both matchLabelKeys and labelSelector")


def pod_placement(spec: PodSpec, path: str) -> Iterator[FieldError]:
    """All of the above for a pod."""
    yield from tolerations(spec.tolerations, f"{path}.tolerations")
    yield from affinity(spec.affinity, f"{path}.affinity")
    yield from spread(spec.topology_spread_constraints, f"{path}.topologySpreadConstraints")
