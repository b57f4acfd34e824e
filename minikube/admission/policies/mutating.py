"""MutatingAdmissionPolicy: expressions that people bound to requests change what they make.

Rules and words: k8s.io/apiserver pkg/admission/plugin/policy (generic dispatcher, mutating dispatcher).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec

from minikube.admission.base import Attributes
from minikube.admission.expressions import authority, variables_of
from minikube.admission.policies.base import Bound, Parameters, refused
from minikube.admission.policies.bound import BoundPolicies, ConfigurationError
from minikube.admission.policies.mutations import MutationFailed, Tree, mutated
from minikube.admission.webhooks.versions import Versions, in_version
from minikube.api.admissionregistration_v1 import MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding
from minikube.api.meta import Resource
from minikube.auth.base import Authorizer
from minikube.client.base import Informers
from minikube.schema.cel import CelError
from minikube.schema.cel_authority import asking
from minikube.schema.structure import ANY, Structure

Structures = Callable[[Resource], Structure | None]
"""How objects of a resource are built, if it is served."""
Changing = Bound[MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding]


class MutatingPolicies:
    """One after the other, each sees what the one before made of the object."""

    name: ClassVar[str] = "MutatingAdmissionPolicy"

    def __init__(
        self,
        informers: Informers,
        parameters: Parameters,
        versions: Versions,
        authorizer: Authorizer,
        structures: Structures,
    ) -> None:
        self._authorizer, self._structures, self._versions = authorizer, structures, versions
        self._policies = BoundPolicies(
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, informers, parameters, versions
        )

    async def admit(self, request: Attributes) -> None:
        if request.object is None:
            return
        for bound, resource in self._policies.seeing(request):
            who = f"{bound.policy.metadata.name}/{bound.binding.metadata.name}"
            if request.again and not _asks_again(bound, request, who):
                continue
            with asking(authority(self._authorizer, request.user)):
                await self._change(bound, resource, request)
            request.seen[who] = msgspec.json.encode(request.object)

    async def _change(self, bound: Changing, resource: Resource, request: Attributes) -> None:
        """Raises the refusal, unless failures are to be ignored."""
        spec, problem = bound.policy.spec, ""
        try:
            ref = bound.binding.spec.param_ref
            parameters = await self._policies.parameters(spec.param_kind, ref, request.namespace)
            for each in parameters:
                view = await self._policies.view(request, resource)
                await self._take(self._made(bound, resource, view, each), resource, request)
        except ConfigurationError as error:
            problem = f"failed to configure binding: {error}"
        except (CelError, MutationFailed) as error:
            problem = str(error)
        if problem and spec.failure_policy != "Ignore":
            policy, binding = bound.policy.metadata.name, bound.binding.metadata.name
            said = f"policy '{policy}' with binding '{binding}' denied request: {problem}"
            raise refused(request, said, "Invalid")

    def _made(self, bound: Changing, resource: Resource, request: Attributes, parameters: object) -> Tree:
        spec, data = bound.policy.spec, variables_of(request, resource)
        seen = {**data, "params": parameters} if spec.param_kind is not None else data
        structure = self._structures(resource) or ANY
        return mutated(spec, seen, self._policies.namespace(request), structure)

    async def _take(self, made: Tree, resource: Resource, request: Attributes) -> None:
        back = await in_version(made, resource, request.resource, self._versions)
        if request.object is not None and back != request.object:
            request.object.clear()
            request.object.update(back or {})
            request.rewritten = True


def _asks_again(bound: Changing, request: Attributes, who: str) -> bool:
    """One that wants it sees the object again if it was changed after it."""
    if bound.policy.spec.reinvocation_policy != "IfNeeded":
        return False
    return request.seen.get(who) != msgspec.json.encode(request.object)
