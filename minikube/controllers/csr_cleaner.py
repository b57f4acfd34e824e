"""Deletes old certificate requests, decided ones after an hour, others after a day (upstream's csrcleaner)."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import ClassVar

from minikube.api.certificates_v1 import CertificateSigningRequest
from minikube.api.meta import Key
from minikube.client.base import Client
from minikube.controllers.base import After, Context, itself
from minikube.errors import NotFound

DECIDED, PENDING = timedelta(hours=1), timedelta(hours=24)


def ends(csr: CertificateSigningRequest) -> datetime | None:
    """When it is to be deleted; None: not for its age (approved, but its signer has not answered)."""
    found = []
    for each in csr.status.conditions:
        over = each.type in ("Denied", "Failed") or (each.type == "Approved" and csr.status.certificate)
        if over and each.last_update_time is not None:
            found.append(each.last_update_time + DECIDED)
    if not csr.status.conditions and csr.metadata.creation_timestamp is not None:
        found.append(csr.metadata.creation_timestamp + PENDING)
    return min(found, default=None)


class CsrCleanerController:
    name: ClassVar[str] = "certificate-controller"
    workers: ClassVar[int] = 1
    watches = (itself(CertificateSigningRequest),)

    def __init__(self, context: Context) -> None:
        self._client: Client = context.client
        self._clock = context.clock
        self._requests = context.informers.of(CertificateSigningRequest).lister

    async def reconcile(self, key: Key) -> After | None:
        csr = self._requests.get(key.name)
        at = ends(csr) if csr is not None else None
        if csr is None or at is None:
            return None
        left = (at - self._clock.now()).total_seconds()
        if left > 0:
            return After(left)
        with contextlib.suppress(NotFound):
            await self._client.delete(CertificateSigningRequest, key.name, uid=csr.metadata.uid)
        return None
