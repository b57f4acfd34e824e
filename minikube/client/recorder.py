"""The events recorder over a client: counts what happens again, never blocks, loses events rather than time."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict

from minikube.api import time
from minikube.api.core_v1 import Event, EventSource, ObjectReference
from minikube.api.meta import Object, ObjectMeta, PartialObject
from minikube.client.base import Client
from minikube.errors import ApiError, NotFound
from minikube.kit.clock import SYSTEM, Clock

log = logging.getLogger(__name__)

WAITING_AT_MOST = 1000
REMEMBERED = 4096
BURST, REFILL_SECONDS = 25, 300.0
"""Rules of client-go's EventSourceObjectSpamFilter."""
SIMILAR, SIMILAR_SECONDS = 10, 600.0
"""Rules of its EventAggregator: so many messages for one reason within this time, and they are combined."""

Same = tuple[str, str, str, str, str]
Alike = tuple[str, str, str, str]


class Recorder:
    def __init__(self, client: Client, component: str, host: str = "", clock: Clock = SYSTEM) -> None:
        self._client = client
        self._source = EventSource(component=component, host=host)
        self._clock = clock
        self._queue: asyncio.Queue[tuple[str, Object, str, str, str]] = asyncio.Queue(WAITING_AT_MOST)
        self._seen: OrderedDict[Same, tuple[str, int]] = OrderedDict()
        self._messages: OrderedDict[Alike, tuple[set[str], float]] = OrderedDict()
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def normal(self, about: Object, reason: str, message: str, *, field: str = "") -> None:
        self._put("Normal", about, reason, message, field)

    def warning(self, about: Object, reason: str, message: str, *, field: str = "") -> None:
        self._put("Warning", about, reason, message, field)

    def _put(self, type: str, about: Object, reason: str, message: str, field: str) -> None:
        try:
            self._queue.put_nowait((type, about, reason, message, field))
        except asyncio.QueueFull:
            log.debug("event dropped: %s %s", reason, message)

    async def run(self) -> None:
        """Write what is recorded until cancelled."""
        while True:
            type, about, reason, message, field = await self._queue.get()
            try:
                await self._write(type, about, reason, message, field)
            except ApiError as error:
                log.debug("event not written: %s: %s", reason, error)

    async def _write(self, type: str, about: Object, reason: str, message: str, field: str) -> None:
        meta = about.metadata
        if not self._allowed(meta.uid):
            return
        namespace = meta.namespace or "default"
        if self._repetitive((type, meta.uid, reason, meta.name), message):
            same: Same = (type, meta.uid, reason, "", meta.name)
            message = f"(combined from similar events): {message}"
        else:
            same = (type, meta.uid + field, reason, message, meta.name)
        now = time.seconds(self._clock.now())
        known = self._seen.get(same)
        if known is not None:
            name, count = known
            patch = {"count": count + 1, "lastTimestamp": time.text(now), "message": message[:1024]}
            try:
                await self._client.patch(Event, name, namespace, patch=patch)
            except NotFound:
                del self._seen[same]
            else:
                self._remember(same, name, count + 1)
                return
        api_version, kind = _kind_of(about)
        suffix = hashlib.sha256(f"{same}{self._clock.now().timestamp()}".encode()).hexdigest()[:16]
        event = Event(
            metadata=ObjectMeta(name=f"{meta.name}.{suffix}", namespace=namespace),
            involved_object=ObjectReference(
                api_version=api_version,
                kind=kind,
                namespace=meta.namespace,
                name=meta.name,
                uid=meta.uid,
                resource_version=meta.resource_version,
                field_path=field,
            ),
            reason=reason,
            message=message[:1024],
            source=self._source,
            reporting_component=self._source.component,
            reporting_instance=self._source.host,
            first_timestamp=now,
            last_timestamp=now,
            count=1,
            type=type,
        )
        await self._client.create(event)
        self._remember(same, event.metadata.name, 1)

    def _remember(self, same: Same, name: str, count: int) -> None:
        self._seen[same] = (name, count)
        self._seen.move_to_end(same)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _allowed(self, uid: str) -> bool:
        """A token bucket for each object."""
        now = self._clock.monotonic()
        tokens, at = self._tokens.get(uid, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - at) / REFILL_SECONDS)
        self._tokens[uid] = (max(0.0, tokens - 1), now)
        self._tokens.move_to_end(uid)
        if len(self._tokens) > REMEMBERED:
            self._tokens.popitem(last=False)
        return tokens >= 1

    def _repetitive(self, alike: Alike, message: str) -> bool:
        """Whether there have been so many messages for this that they are combined."""
        now = self._clock.monotonic()
        messages, at = self._messages.get(alike, (set[str](), now))
        if now - at > SIMILAR_SECONDS:
            messages = set()
        messages.add(message)
        self._messages[alike] = (messages, now)
        self._messages.move_to_end(alike)
        if len(self._messages) > REMEMBERED:
            self._messages.popitem(last=False)
        if len(messages) < SIMILAR:
            return False
        messages.pop()
        return True


def _kind_of(about: Object) -> tuple[str, str]:
    if isinstance(about, PartialObject):
        return about.api_version, about.kind
    return about.resource.api_version, about.resource.kind
