"""Which nodes a pod may or would rather run on. Rules: k8s.io/component-helpers nodeaffinity."""

from __future__ import annotations

from collections.abc import Mapping

from minikube.api.core_v1 import Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod


def matches_required(pod: Pod, node: Node) -> bool:
    """nodeSelector and required node affinity both hold."""
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return False
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    return required is None or matches_selector(required, node)


def matches_selector(selector: NodeSelector, node: Node) -> bool:
    """Any of its terms matches; an empty term matches nothing."""
    return any(matches_term(term, node) for term in selector.node_selector_terms)


def matches_preference(term: NodeSelectorTerm, node: Node) -> bool:
    """As a required term, but an empty preference matches every node."""
    return not (term.match_expressions or term.match_fields) or matches_term(term, node)


def matches_term(term: NodeSelectorTerm, node: Node) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False
    fields = {"metadata.name": node.metadata.name}
    return all(_holds(one, node.metadata.labels) for one in term.match_expressions) and all(
        _holds(one, fields) for one in term.match_fields
    )


def _holds(requirement: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            try:
                have, limit = int(value or ""), int(requirement.values[0])
            except (ValueError, IndexError):
                return False
            return have > limit if requirement.operator == "Gt" else have < limit
    return False
