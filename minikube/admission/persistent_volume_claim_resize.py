"""PersistentVolumeClaimResize: a claim may grow only if its class allows it.

Rules: plugin/pkg/admission/storage/persistentvolume/resize.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.api import quantity
from minikube.api.storage_v1 import StorageClass
from minikube.api.volumes import BETA_CLASS
from minikube.client.base import Lister
from minikube.errors import Forbidden

WHY = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc"
    " must support resize"
)


class PersistentVolumeClaimResize:
    name: ClassVar[str] = "PersistentVolumeClaimResize"

    def __init__(self, classes: Lister[StorageClass]) -> None:
        self._classes = classes

    async def validate(self, request: Attributes) -> None:
        resource, new, old = request.resource, request.object, request.old
        if (resource.group, resource.plural, request.operation) != ("", "persistentvolumeclaims", "UPDATE"):
            return
        if request.subresource or new is None or old is None or _size(new) <= _size(old):
            return
        if (old.get("status") or {}).get("phase") == "Bound" and not self._may_grow(old):
            raise Forbidden.of("persistentvolumeclaims", "", request.name, WHY)

    def _may_grow(self, claim: Mapping[str, Any]) -> bool:
        notes = claim["metadata"].get("annotations") or {}
        of = self._classes.get(notes.get(BETA_CLASS) or claim["spec"].get("storageClassName") or "")
        return of is not None and bool(of.allow_volume_expansion)


def _size(claim: Mapping[str, Any]) -> Any:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return quantity.parse(requests.get("storage"))
