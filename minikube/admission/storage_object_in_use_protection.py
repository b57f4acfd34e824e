"""StorageObjectInUseProtection: claims and volumes are born with the finalizer that keeps them while in use."""

from __future__ import annotations

from typing import ClassVar

from minikube.admission.base import Attributes
from minikube.api.volumes import CLAIM_PROTECTION, VOLUME_PROTECTION

FINALIZERS = {"persistentvolumeclaims": CLAIM_PROTECTION, "persistentvolumes": VOLUME_PROTECTION}


class StorageObjectInUseProtection:
    name: ClassVar[str] = "StorageObjectInUseProtection"

    async def admit(self, request: Attributes) -> None:
        resource, obj = request.resource, request.object
        if resource.group or request.operation != "CREATE" or request.subresource or obj is None:
            return
        finalizer = FINALIZERS.get(resource.plural)
        if finalizer is not None:
            present = obj.setdefault("metadata", {}).get("finalizers") or []
            if finalizer not in present:
                obj["metadata"]["finalizers"] = [*present, finalizer]
