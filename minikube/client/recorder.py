"""The events recorder over a client: counts what happens again, never blocks, loses events rather than time."""

from __future__ import annotations

import asyncio
import hashlib
import logging

from minikube.api import time
from minikube.api.core_v1 import Event, EventSource, ObjectReference
from minikube.api.meta import Object, ObjectMeta, PartialObject
from minikube.client.base import Client
from minikube.client.correlation import Correlator, Happening, Same, Written
from minikube.errors import ApiError, NotFound
from minikube.kit.clock import SYSTEM, Clock

log = logging.getLogger(__name__)

WAITING_AT_MOST = 1000
LONGEST_MESSAGE = 1024


class Recorder:
    def __init__(self, client: Client, component: str, host: str = "", clock: Clock = SYSTEM) -> None:
        self._client = client
        self._source = EventSource(component=component, host=host)
        self._clock = clock
        self._queue: asyncio.Queue[Happening] = asyncio.Queue(WAITING_AT_MOST)
        self._correlator = Correlator(clock)

    def normal(self, about: Object, reason: str, message: str, *, field: str = "") -> None:
        self._put(Happening("Normal", about, reason, message, field))

    def warning(self, about: Object, reason: str, message: str, *, field: str = "") -> None:
        self._put(Happening("Warning", about, reason, message, field))

    def _put(self, what: Happening) -> None:
        try:
            self._queue.put_nowait(what)
        except asyncio.QueueFull:
            log.debug("event dropped: %s %s", what.reason, what.message)

    async def run(self) -> None:
        """Write what is recorded until cancelled."""
        while True:
            what = await self._queue.get()
            try:
                await self._write(what)
            except ApiError as error:
                log.debug("event not written: %s: %s", what.reason, error)

    async def _write(self, what: Happening) -> None:
        judged = self._correlator.judge(what)
        if judged is None:
            return
        same, message = judged
        message = message[:LONGEST_MESSAGE]
        if await self._counted(what, same, message):
            return
        event = self._event(what, same, message)
        await self._client.create(event)
        self._correlator.written.put(same, Written(event.metadata.name, 1))

    async def _counted(self, what: Happening, same: Same, message: str) -> bool:
        """Whether there is an Event of the same already, which tells now that it happened again."""
        written = self._correlator.written
        known = written.get(same)
        if known is None:
            return False
        now = time.seconds(self._clock.now())
        patch = {"count": known.count + 1, "lastTimestamp": time.text(now), "message": message}
        try:
            await self._client.patch(Event, known.name, _namespace_of(what.about), patch=patch)
        except NotFound:
            written.drop(same)
            return False
        written.put(same, Written(known.name, known.count + 1))
        return True

    def _event(self, what: Happening, same: Same, message: str) -> Event:
        now, meta = self._clock.now(), what.about.metadata
        suffix = hashlib.sha256(f"{same}{now.timestamp()}".encode()).hexdigest()[:16]
        api_version, kind = _kind_of(what.about)
        return Event(
            metadata=ObjectMeta(name=f"{meta.name}.{suffix}", namespace=_namespace_of(what.about)),
            involved_object=ObjectReference(
                api_version=api_version,
                kind=kind,
                namespace=meta.namespace,
                name=meta.name,
                uid=meta.uid,
                resource_version=meta.resource_version,
                field_path=what.field,
            ),
            reason=what.reason,
            message=message,
            source=self._source,
            reporting_component=self._source.component,
            reporting_instance=self._source.host,
            first_timestamp=time.seconds(now),
            last_timestamp=time.seconds(now),
            count=1,
            type=what.type,
        )


def _namespace_of(about: Object) -> str:
    """Where its Events are."""
    return about.metadata.namespace or "default"


def _kind_of(about: Object) -> tuple[str, str]:
    if isinstance(about, PartialObject):
        return about.api_version, about.kind
    return about.resource.api_version, about.resource.kind
