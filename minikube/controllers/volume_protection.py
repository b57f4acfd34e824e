"""A volume that a claim is bound to is not removed. Rules: pkg/controller/volume/pvprotection."""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import PersistentVolume
from minikube.api.meta import Key
from minikube.api.volumes import VOLUME_PROTECTION
from minikube.controllers.base import After, Context, itself
from minikube.controllers.protection import protected


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
        wanted = protected(volume, VOLUME_PROTECTION, used=volume.status.phase == "Bound")
        if wanted is not volume:
            await self._client.update(wanted)
        return None
