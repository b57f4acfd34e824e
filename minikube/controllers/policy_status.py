"""Says in the status of validating admission policies which of their expressions do not suit what they are about.

Rules: pkg/controller/validatingadmissionpolicystatus.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from minikube.api.admissionregistration_v1 import TypeChecking, ValidatingAdmissionPolicy
from minikube.api.meta import Key, to_dict
from minikube.client.base import PatchType
from minikube.controllers.base import After, Context, itself
from minikube.errors import NotFound


class PolicyStatusController:
    name: ClassVar[str] = "validatingadmissionpolicy-status-controller"
    workers: ClassVar[int] = 1
    watches = (itself(ValidatingAdmissionPolicy),)

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._check = context.check_types
        self._policies = context.informers.of(ValidatingAdmissionPolicy).lister

    async def reconcile(self, key: Key) -> After | None:
        policy = self._policies.get(key.name)
        if policy is None or policy.metadata.generation <= (policy.status.observed_generation or 0):
            return None
        warnings = await asyncio.to_thread(self._check, policy)
        checked = to_dict(TypeChecking(tuple(warnings)))
        patch = {
            "apiVersion": policy.resource.api_version,
            "kind": policy.resource.kind,
            "metadata": {"name": key.name},
            "status": {"observedGeneration": policy.metadata.generation, "typeChecking": checked},
        }
        how: Any = {"type": PatchType.APPLY, "subresource": "status", "force": True}
        try:
            await self._client.patch(ValidatingAdmissionPolicy, key.name, patch=patch, **how)
        except NotFound:
            return None
        return None
