"""ValidatingAdmissionPolicy: expressions that people bound to requests decide over them.

Rules and words: k8s.io/apiserver pkg/admission/plugin/policy (generic dispatcher, validating dispatcher).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from minikube.admission.base import Attributes
from minikube.admission.expressions import authority, variables_of
from minikube.admission.policies.base import Bound, Matcher, Parameters, UnknownKind, matcher
from minikube.admission.policies.decisions import Denial, Outcome, decide
from minikube.admission.webhooks.matching import (
    Equivalents,
    exempt,
    matched_resource,
    selects_namespace,
    selects_object,
)
from minikube.api.admissionregistration_v1 import (
    ParamKind,
    ParamRef,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)
from minikube.api.core_v1 import Namespace
from minikube.api.meta import Resource, to_dict
from minikube.api.selectors import compile_selector
from minikube.auth.base import Authorizer
from minikube.client.base import Informers
from minikube.errors import BY_REASON, ApiError, Forbidden, NotFound, from_status
from minikube.schema.cel_authority import asking

_FAILURE = "validation.policy.admission.k8s.io/validation_failure"


class ConfigurationError(Exception):
    """The binding cannot be used; counts as the failure policy says."""


class Refusal(msgspec.Struct, frozen=True):
    bound: Bound
    denial: Denial

    @property
    def message(self) -> str:
        return f"{names(self.bound)} denied request: {self.denial.message}"


class ValidatingPolicies:
    name: ClassVar[str] = "ValidatingAdmissionPolicy"

    def __init__(
        self, informers: Informers, parameters: Parameters, equivalents: Equivalents, authorizer: Authorizer
    ) -> None:
        self._authorizer = authorizer
        self._policies = informers.of(ValidatingAdmissionPolicy)
        self._bindings = informers.of(ValidatingAdmissionPolicyBinding)
        self._namespaces = informers.of(Namespace).lister
        self._parameters = parameters
        self._equivalents = equivalents
        self._bound: Sequence[Bound] | None = ()
        self._policies.add_handler(self._changed)
        self._bindings.add_handler(self._changed)

    def _changed(self, old: object, new: object) -> None:
        self._bound = None

    async def validate(self, request: Attributes) -> None:
        if self._bound is None:
            self._bound = list(self._all_bound())
        if not self._bound or exempt(request.resource):
            return
        refusals: list[Refusal] = []
        for bound in self._bound:
            resource = self._matched(bound, request)
            if resource is not None:
                with asking(authority(self._authorizer, request.user)):
                    refusals += self._judge(bound, resource, request)
        if refusals:
            raise refusal(request, refusals[0])

    def _all_bound(self) -> Iterator[Bound]:
        """In order of the policies' and bindings' names."""
        for binding in sorted(
            self._bindings.lister.list(), key=lambda each: (each.spec.policy_name, each.metadata.name)
        ):
            policy = self._policies.lister.get(binding.spec.policy_name)
            if policy is not None:
                constraints = matcher(policy.spec.match_constraints)
                yield Bound(policy, binding, constraints, matcher(binding.spec.match_resources))

    def _matched(self, bound: Bound, request: Attributes) -> Resource | None:
        """The resource under which the policy wants to see the request; None if it or its binding does not."""
        found = self._covered(bound.constraints, request)
        if found is None:
            return None
        rules = bound.where.resources
        unrestricted = not rules.resource_rules and not rules.exclude_resource_rules
        if unrestricted:
            return found if self._selected(bound.where, request) else None
        return found if self._covered(bound.where, request) is not None else None

    def _covered(self, wanted: Matcher, request: Attributes) -> Resource | None:
        rules, equivalents = wanted.resources, list(self._equivalents(request.resource))
        if not self._selected(wanted, request):
            return None
        if matched_resource(rules.exclude_resource_rules, rules.match_policy, request, equivalents) is not None:
            return None
        if not rules.resource_rules:
            return request.resource
        return matched_resource(rules.resource_rules, rules.match_policy, request, equivalents)

    def _selected(self, wanted: Matcher, request: Attributes) -> bool:
        return selects_object(wanted.objects, request) and selects_namespace(
            wanted.namespaces, request, self._namespaces
        )

    def _judge(self, bound: Bound, resource: Resource, request: Attributes) -> Iterator[Refusal]:
        spec, data = bound.policy.spec, variables_of(request, resource)
        try:
            parameters = self._params(spec.param_kind, bound.binding.spec.param_ref, request.namespace)
        except ConfigurationError as error:
            if spec.failure_policy != "Ignore":
                yield Refusal(bound, Denial(0, f"failed to configure binding: {error}"))
            return
        namespace = self._namespace(request)
        for each in parameters:
            seen = {**data, "params": each} if spec.param_kind is not None else data
            yield from act(bound, decide(spec, seen, namespace), request)

    def _namespace(self, request: Attributes) -> Mapping[str, Any] | None:
        if not request.namespace or request.resource.plural == "namespaces":
            return None
        namespace = self._namespaces.get(request.namespace)
        if namespace is None:
            raise NotFound.of("namespaces", "", request.namespace)
        return to_dict(namespace)

    def _params(self, kind: ParamKind | None, ref: ParamRef | None, namespace: str) -> Sequence[Any]:
        """What `params` is, once for each evaluation. Raises ConfigurationError."""
        if kind is None or ref is None:
            return [None]
        try:
            if self._parameters.namespaced(kind):
                where = ref.namespace or namespace
                if not where:
                    raise ConfigurationError(
                        "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                    )
            elif ref.namespace:
                raise ConfigurationError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
            else:
                where = ""
            found = self._found(kind, ref, where)
        except UnknownKind as error:
            raise ConfigurationError(f"paramKind kind `{kind.api_version}, Kind={kind.kind}` not known") from error
        if not found and ref.parameter_not_found_action == "Deny":
            raise ConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction")
        return found

    def _found(self, kind: ParamKind, ref: ParamRef, namespace: str) -> Sequence[dict[str, Any]]:
        if ref.name:
            one = self._parameters.named(kind, namespace, ref.name)
            return [] if one is None else [one]
        if ref.selector is None:
            raise ConfigurationError("one of name or selector must be provided")
        return self._parameters.selected(kind, namespace, compile_selector(ref.selector))


def names(bound: Bound) -> str:
    policy, binding = bound.policy.metadata.name, bound.binding.metadata.name
    return f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}'"


def act(bound: Bound, outcome: Outcome, request: Attributes) -> Iterator[Refusal]:
    """Warnings and audit annotations go into the request; what is denied comes back."""
    policy, binding = bound.policy.metadata.name, bound.binding.metadata.name
    request.annotations.update({f"{policy}/{key}": text for key, text in outcome.annotations.items()})
    for denial in outcome.denials:
        actions = bound.binding.spec.validation_actions
        if denial.always or "Deny" in actions:
            yield Refusal(bound, denial)
        if "Warn" in actions:
            request.warnings.append(f"Validation failed for {names(bound)}: {denial.message}")
        if "Audit" in actions:
            failure = {
                "message": denial.message,
                "policy": policy,
                "binding": binding,
                "expressionIndex": denial.index,
                "validationActions": actions,
            }
            request.annotations[_FAILURE] = msgspec.json.encode([failure]).decode()


def refusal(request: Attributes, denied: Refusal) -> ApiError:
    metadata = (request.object or {}).get("metadata") or {}
    name = request.name or metadata.get("name") or metadata.get("generateName") or "Unknown"
    status = Forbidden.of(request.resource.plural, request.resource.group, name, denied.message).status()
    reason = denied.denial.reason
    details = {**status["details"], "causes": [{"message": denied.message}]}
    return from_status({**status, "reason": reason, "code": BY_REASON[reason].code, "details": details})
