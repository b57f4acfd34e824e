"""DefaultStorageClass: a claim that names no class gets the default one. Rules: plugin/pkg/admission/storage."""

from __future__ import annotations

from typing import ClassVar

from minikube.admission.base import Attributes
from minikube.api.storage_v1 import StorageClass
from minikube.api.volumes import BETA_CLASS, default_class
from minikube.client.base import Lister


class DefaultStorageClass:
    name: ClassVar[str] = "DefaultStorageClass"

    def __init__(self, classes: Lister[StorageClass]) -> None:
        self._classes = classes

    async def admit(self, request: Attributes) -> None:
        resource = request.resource
        if (resource.group, resource.plural, request.operation) != ("", "persistentvolumeclaims", "CREATE"):
            return
        if request.subresource or request.object is None:
            return
        spec = request.object.setdefault("spec", {})
        notes = request.object.get("metadata", {}).get("annotations") or {}
        if spec.get("storageClassName") is not None or BETA_CLASS in notes:
            return
        of = default_class(self._classes.list())
        if of is not None:
            spec["storageClassName"] = of.metadata.name
