"""Whether a webhook or policy wants to see a request: rules, scope and selectors. Pure.

Rules of k8s.io/apiserver pkg/admission/plugin/webhook (rules.Matcher, predicates/namespace, predicates/object).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minikube.admission.base import Attributes
from minikube.api.admissionregistration_v1 import NamedRuleWithOperations, RuleWithOperations
from minikube.api.core_v1 import Namespace
from minikube.api.meta import Resource
from minikube.api.selectors import Selector
from minikube.client.base import Lister
from minikube.errors import NotFound

GROUP = "admissionregistration.k8s.io"
NEVER = frozenset(
    {
        "mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies",
        "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
    }
)  # fmt: skip
"""What decides over admission is not itself subject to it: a broken webhook can always be removed."""
Rule = RuleWithOperations | NamedRuleWithOperations


def exempt(resource: Resource) -> bool:
    return resource.group == GROUP and resource.plural in NEVER


def matched_resource(
    rules: Iterable[Rule], match_policy: str, request: Attributes, equivalents: Iterable[Resource]
) -> Resource | None:
    """The resource under which a rule covers the request: the request's own, or an equivalent."""
    candidates = [request.resource]
    if match_policy != "Exact":
        candidates += equivalents
    for resource in candidates:
        if any(covers(rule, request, resource) for rule in rules):
            return resource
    return None


def covers(rule: Rule, request: Attributes, resource: Resource) -> bool:
    return (
        _one_of(rule.operations, request.operation)
        and _one_of(rule.api_groups, resource.group)
        and _one_of(rule.api_versions, resource.version)
        and any(_covers_resource(each, resource.plural, request.subresource) for each in rule.resources)
        and _covers_scope(rule.scope, request)
        and _covers_name(rule, request.name)
    )


def _one_of(wanted: Iterable[str], value: str) -> bool:
    return any(each in ("*", value) for each in wanted)


def _covers_resource(pattern: str, plural: str, subresource: str) -> bool:
    wanted, _, below = pattern.partition("/")
    if pattern == "*":
        return not subresource
    return wanted in ("*", plural) and below in (("*", subresource) if "/" in pattern else (subresource,))


def _covers_scope(scope: str, request: Attributes) -> bool:
    if scope in ("", "*"):
        return True
    return (scope == "Namespaced") == (bool(request.namespace) and request.resource.plural != "namespaces")


def _covers_name(rule: Rule, name: str) -> bool:
    names = rule.resource_names if isinstance(rule, NamedRuleWithOperations) else ()
    return not names or name in names


def selects_namespace(selector: Selector, request: Attributes, namespaces: Lister[Namespace]) -> bool:
    """By the labels of the namespace it is in, or that it is. Raises NotFound."""
    if not selector:
        return True
    if request.resource.plural == "namespaces" and not request.resource.group:
        tree = request.object if request.object is not None else request.old
        return selector.matches(labels_of(tree or {}))
    if not request.namespace:
        return True
    namespace = namespaces.get(request.namespace)
    if namespace is None:
        raise NotFound.of("namespaces", "", request.namespace)
    return selector.matches(namespace.metadata.labels)


def selects_object(selector: Selector, request: Attributes) -> bool:
    """Either state of the object may match."""
    return not selector or any(
        selector.matches(labels_of(tree)) for tree in (request.object, request.old) if tree is not None
    )


def labels_of(tree: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = (tree.get("metadata") or {}).get("labels") or {}
    return found
