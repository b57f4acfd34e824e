"""NamespaceLifecycle: nothing is created in a namespace that is missing or going away; some never go."""

from __future__ import annotations

from typing import ClassVar

from minikube.admission.base import Attributes
from minikube.api.core_v1 import Namespace
from minikube.client.base import Lister
from minikube.errors import Forbidden, NotFound

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle:
    name: ClassVar[str] = "NamespaceLifecycle"

    def __init__(self, namespaces: Lister[Namespace]) -> None:
        self._namespaces = namespaces

    async def admit(self, request: Attributes) -> None:
        resource = request.resource
        if request.operation == "DELETE" and resource.plural == "namespaces" and not resource.group:
            if request.name in IMMORTAL:
                raise Forbidden.of("namespaces", "", request.name, "this namespace may not be deleted")
            return
        if request.operation != "CREATE" or not resource.namespaced or request.subresource:
            return
        if resource.plural in ("localsubjectaccessreviews",):
            return
        namespace = self._namespaces.get(request.namespace)
        if namespace is None:
            raise NotFound.of("namespaces", "", request.namespace)
        if namespace.metadata.deletion_timestamp is not None or namespace.status.phase == "Terminating":
            error = Forbidden.of(
                resource.plural,
                resource.group,
                request.name,
                f"unable to create new content in namespace {request.namespace} because it is being terminated",
            )
            error.causes = (
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {request.namespace} is being terminated",
                    "field": "metadata.namespace",
                },
            )
            raise error
