"""A volume that a claim is bound to is not removed. Rules: pkg/controller/volume/pvprotection."""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import PersistentVolume
from minikube.api.meta import Key, replace_meta
from minikube.api.volumes import VOLUME_PROTECTION
from minikube.controllers.base import After, Context, itself


class VolumeProtectionController:
    name: ClassVar[str] = "pv-protection-controller"
    workers: ClassVar[int] = 1
    watches = (itself(PersistentVolume),)

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._volumes = context.informers.of(PersistentVolume).lister

    async def reconcile(self, key: Key) -> After | None:
        volume = self._volumes.get(key.name)
        if volume is None:
            return None
        finalizers = volume.metadata.finalizers
        if volume.metadata.deletion_timestamp is None:
            if VOLUME_PROTECTION not in finalizers:
                kept = (*finalizers, VOLUME_PROTECTION)
                await self._client.update(replace_meta(volume, finalizers=kept))
        elif VOLUME_PROTECTION in finalizers and volume.status.phase != "Bound":
            kept = tuple(each for each in finalizers if each != VOLUME_PROTECTION)
            await self._client.update(replace_meta(volume, finalizers=kept))
        return None
