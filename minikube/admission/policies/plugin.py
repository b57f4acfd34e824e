"""ValidatingAdmissionPolicy: expressions that people bound to requests decide over them.

Rules and words: k8s.io/apiserver pkg/admission/plugin/policy (generic dispatcher, validating dispatcher).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from minikube.admission.base import Attributes
from minikube.admission.expressions import authority, variables_of
from minikube.admission.policies.base import Bound, Parameters, refused
from minikube.admission.policies.bound import BoundPolicies, ConfigurationError
from minikube.admission.policies.decisions import Denial, Outcome, decide
from minikube.admission.webhooks.versions import Versions
from minikube.api.admissionregistration_v1 import ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding
from minikube.api.meta import Resource
from minikube.auth.base import Authorizer
from minikube.client.base import Informers
from minikube.errors import ApiError
from minikube.schema.cel_authority import asking

Judged = Bound[ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding]
_FAILURE = "validation.policy.admission.k8s.io/validation_failure"


class Refusal(msgspec.Struct, frozen=True):
    bound: Judged
    denial: Denial

    @property
    def message(self) -> str:
        return f"{names(self.bound)} denied request: {self.denial.message}"


class ValidatingPolicies:
    name: ClassVar[str] = "ValidatingAdmissionPolicy"

    def __init__(
        self, informers: Informers, parameters: Parameters, versions: Versions, authorizer: Authorizer
    ) -> None:
        self._authorizer = authorizer
        self._policies = BoundPolicies(
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, informers, parameters, versions
        )

    async def validate(self, request: Attributes) -> None:
        refusals: list[Refusal] = []
        for bound, resource in self._policies.seeing(request):
            with asking(authority(self._authorizer, request.user)):
                refusals += await self._judge(bound, resource, request)
        if refusals:
            raise refusal(request, refusals[0])

    async def _judge(self, bound: Judged, resource: Resource, request: Attributes) -> list[Refusal]:
        spec = bound.policy.spec
        try:
            data = variables_of(await self._policies.view(request, resource), resource)
            parameters = await self._policies.parameters(
                spec.param_kind, bound.binding.spec.param_ref, request.namespace
            )
        except ConfigurationError as error:
            if spec.failure_policy != "Ignore":
                return [Refusal(bound, Denial(0, f"failed to configure binding: {error}"))]
            return []
        namespace = self._policies.namespace(request)
        refusals: list[Refusal] = []
        for each in parameters:
            seen = {**data, "params": each} if spec.param_kind is not None else data
            refusals += act(bound, decide(spec, seen, namespace), request)
        return refusals


def names(bound: Judged) -> str:
    policy, binding = bound.policy.metadata.name, bound.binding.metadata.name
    return f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}'"


def act(bound: Judged, outcome: Outcome, request: Attributes) -> Iterator[Refusal]:
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
    return refused(request, denied.message, denied.denial.reason)
