"""Certificates of pods: a key made here, a PodCertificateRequest to the signer that the pod names, what came of it.

They are renewed when the signer says so, with a new key each time; while that takes, the old ones stay. What a
signer denied or failed at is not asked for again. Rules: pkg/kubelet/podcertificate.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from minikube.api.certificates_v1 import PodCertificateRequest, PodCertificateRequestSpec
from minikube.api.core_v1 import Node, Pod, PodCertificateProjection, ServiceAccount
from minikube.api.meta import Key, ObjectMeta, OwnerReference
from minikube.client.base import Client
from minikube.client.events import EventRecorder
from minikube.errors import ApiError
from minikube.kit.clock import Clock
from minikube.node.volumes.files import Credentials, Slot
from minikube.node.volumes.problems import Unmet
from minikube.node.volumes.references import References
from minikube.pki import pod_keys

LOOK_AGAIN = timedelta(minutes=1)
"""While a renewal is on its way; the answer itself is seen at once."""


class _Asked(msgspec.Struct, frozen=True):
    key: Key
    private: bytes
    """PEM."""


class _Slot:
    """What one source of one volume has come to."""

    def __init__(self) -> None:
        self.held: Credentials | None = None
        self.renew: datetime | None = None
        self.asked: _Asked | None = None
        self.refused = ""


class PodCertificates:
    """`changed(uid)` is called when something was heard about a request of that pod; `run` until cancelled."""

    def __init__(
        self, client: Client, clock: Clock, recorder: EventRecorder, changed: Callable[[str], None]
    ) -> None:
        self._client, self._clock, self._recorder = client, clock, recorder
        self._requests: References[PodCertificateRequest] = References(client, PodCertificateRequest, changed)
        self._slots: dict[str, dict[Slot, _Slot]] = {}

    async def run(self) -> None:
        await self._requests.run()

    async def get(self, pod: Pod, slot: Slot, source: PodCertificateProjection, node: Node | None) -> Credentials:
        """The present ones, or new ones when that is due and they are there. Raises Unmet or NotSynced."""
        found = self._slots.setdefault(pod.metadata.uid, {}).setdefault(slot, _Slot())
        if found.refused:
            raise Unmet(found.refused)
        if found.held is not None and found.renew is not None and self._clock.now() < found.renew:
            return found.held
        try:
            await self._advance(pod, found, source, node)
        except ApiError as error:
            if found.held is None:
                raise Unmet(f"failed to request a certificate: {error.message}") from error
        if found.held is None:
            assert found.asked is not None or found.refused
            raise Unmet(
                found.refused or f"PodCertificateRequest {found.asked.key if found.asked else ''} is pending"
            )
        return found.held

    async def _advance(self, pod: Pod, slot: _Slot, source: PodCertificateProjection, node: Node | None) -> None:
        """One step: ask, or look what came of it."""
        if slot.asked is None:
            slot.asked = await self._ask(pod, source, node)
            self._hold(pod.metadata.uid)
        request = await self._requests.get(slot.asked.key)
        if request is None:
            gone, slot.asked = slot.asked, None
            self._hold(pod.metadata.uid)
            if slot.held is None:
                raise Unmet(f"PodCertificateRequest {gone.key} appears to have been deleted")
            return
        slot.renew = self._clock.now() + LOOK_AGAIN
        for condition in request.status.conditions:
            if condition.type in ("Denied", "Failed"):
                verb = "was denied" if condition.type == "Denied" else "failed"
                said = f"reason={json.dumps(condition.reason)}, message={json.dumps(condition.message)}"
                slot.refused = f"PodCertificateRequest {slot.asked.key} {verb}, {said}"
                self._recorder.warning(pod, condition.type, slot.refused)
                slot.asked = slot.renew = None
            elif condition.type == "Issued":
                chain = pod_keys.certificates_of(request.status.certificate_chain)
                slot.held, slot.renew = Credentials(slot.asked.private, chain), request.status.begin_refresh_at
                slot.asked = None
            else:
                continue
            self._hold(pod.metadata.uid)
            return

    async def _ask(self, pod: Pod, source: PodCertificateProjection, node: Node | None) -> _Asked:
        key = await asyncio.to_thread(pod_keys.KEY_TYPES[source.key_type])
        meta, account = pod.metadata, pod.spec.service_account_name or "default"
        owner = OwnerReference(api_version="v1", kind="Pod", name=meta.name, uid=meta.uid)
        made = await self._client.create(
            PodCertificateRequest(
                metadata=ObjectMeta(generate_name="req-", namespace=meta.namespace, owner_references=(owner,)),
                spec=PodCertificateRequestSpec(
                    signer_name=source.signer_name,
                    pod_name=meta.name,
                    pod_uid=meta.uid,
                    service_account_name=account,
                    service_account_uid=(
                        await self._client.get(ServiceAccount, account, meta.namespace)
                    ).metadata.uid,
                    node_name=pod.spec.node_name,
                    node_uid=node.metadata.uid if node is not None else "",
                    max_expiration_seconds=source.max_expiration_seconds,
                    stub_pkcs10_request=base64.b64encode(pod_keys.stub_request(key)).decode(),
                    unverified_user_annotations=source.user_annotations,
                ),
            )
        )
        return _Asked(Key(meta.namespace, made.metadata.name), pod_keys.key_pem(key))

    def _hold(self, uid: str) -> None:
        slots = self._slots.get(uid, {}).values()
        self._requests.hold(uid, frozenset(each.asked.key for each in slots if each.asked is not None))

    def due_in(self, uid: str) -> float | None:
        """Seconds until the first of the pod's certificates is to be renewed; None if it has none."""
        times = [each.renew for each in self._slots.get(uid, {}).values() if each.renew is not None]
        return (min(times) - self._clock.now()).total_seconds() if times else None

    def forget(self, uid: str) -> None:
        self._slots.pop(uid, None)
        self._hold(uid)
