"""Whether a webhook wants to see a request: rules, scope and selectors. Pure.

Rules of k8s.io/apiserver pkg/admission/plugin/webhook (rules.Matcher, predicates/namespace, predicates/object).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minikube.admission.base import Attributes
from minikube.admission.webhooks.base import Hook
from minikube.api.admissionregistration_v1 import NamedRuleWithOperations, RuleWithOperations
from minikube.api.meta import Resource
from minikube.api.selectors import Selector

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


def matched_resource(hook: Hook, request: Attributes, equivalents: Iterable[Resource]) -> Resource | None:
    """The resource under which a rule of the webhook covers the request: the request's own, or an equivalent."""
    candidates = [request.resource]
    if hook.webhook.match_policy != "Exact":
        candidates += equivalents
    for resource in candidates:
        if any(covers(rule, request, resource) for rule in hook.webhook.rules):
            return resource
    return None


def covers(rule: Rule, request: Attributes, resource: Resource) -> bool:
    return (
        _one_of(rule.operations, request.operation)
        and _one_of(rule.api_groups, resource.group)
        and _one_of(rule.api_versions, resource.version)
        and any(_covers_resource(each, resource.plural, request.subresource) for each in rule.resources)
        and _covers_scope(rule.scope, request)
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


def selects_object(selector: Selector, request: Attributes) -> bool:
    """Either state of the object may match."""
    return not selector or any(
        selector.matches(labels_of(tree)) for tree in (request.object, request.old) if tree is not None
    )


def labels_of(tree: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = (tree.get("metadata") or {}).get("labels") or {}
    return found
