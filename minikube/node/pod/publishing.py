"""Writes a pod's status to the API: only what differs, one write at a time, the newest wins."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from msgspec.structs import replace

from minikube.api.core_v1 import Pod, PodStatus
from minikube.api.meta import to_dict
from minikube.client.base import Client, PatchType
from minikube.errors import ApiError, Conflict, NotFound
from minikube.kit.backoff import Backoff
from minikube.kit.clock import Clock
from minikube.node.pod.conditions import ALL_RESTARTING, DISRUPTION, OWNED, RESIZES
from minikube.node.pod.pods import is_terminal

log = logging.getLogger(__name__)

OURS = frozenset((*OWNED, *RESIZES, ALL_RESTARTING))
"""Conditions that nobody else writes; DisruptionTarget is shared."""
_KEYED = {"podIPs": "ip", "hostIPs": "ip"}
"""Lists of a status that a strategic merge patch merges by key, not replaces."""


class Publisher:
    """Of one pod. `pod` is the newest object that a write was answered with, if any."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._wanted: tuple[Pod, PodStatus] | None = None
        self._writing: asyncio.Task[None] | None = None
        self.pod: Pod | None = None

    def publish(self, pod: Pod, status: PodStatus) -> None:
        """`pod` is the newest object known. Returns at once; what is asked for during a write replaces it."""
        if self._writing is None and status == pod.status:
            return
        self._wanted = (pod, status)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name=f"status of {pod.metadata.name}")
            self._writing.add_done_callback(self._over)

    async def flush(self) -> None:
        """Until everything asked for is written, or the pod is gone."""
        while self._writing is not None:
            await asyncio.wait([self._writing])

    def close(self) -> None:
        self._wanted = None
        if self._writing is not None:
            self._writing.cancel()

    def _over(self, task: asyncio.Task[None]) -> None:
        self._writing = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("status of a pod", exc_info=error)

    async def _write(self) -> None:
        failures: Backoff[str] = Backoff(base=1.0, limit=60.0)
        while self._wanted is not None:
            (pod, status), self._wanted = self._wanted, None
            try:
                self.pod = await self._send(newer(pod, self.pod), status)
            except (NotFound, Conflict):
                continue  # it is gone, or another has its name
            except (ApiError, OSError) as error:
                log.warning("status of %s/%s: %s", pod.metadata.namespace, pod.metadata.name, error)
                self._wanted = self._wanted or (pod, status)
                await self._clock.sleep(failures.next(""))

    async def _send(self, pod: Pod, status: PodStatus) -> Pod:
        changes = difference(pod.status, status)
        if not changes:
            return pod
        meta = pod.metadata
        patch = {"metadata": {"uid": meta.uid}, "status": changes}
        return await self._client.patch(
            Pod, meta.name, meta.namespace, patch=patch, type=PatchType.STRATEGIC, subresource="status"
        )


def newer(pod: Pod, other: Pod | None) -> Pod:
    if other is None or revision(other) <= revision(pod):
        return pod
    return other


def revision(pod: Pod) -> int:
    text = pod.metadata.resource_version
    return int(text) if text.isdigit() else 0


def difference(old: PodStatus, new: PodStatus) -> dict[str, Any]:
    """The strategic merge patch from one status to another; conditions that others own are left alone."""
    before, after = to_dict(old), to_dict(new)
    patch: dict[str, Any] = {}
    for name in before.keys() | after.keys():
        if before.get(name) == after.get(name):
            continue
        key = _KEYED.get(name)
        if name == "conditions":
            mine = [each for each in before.get(name, []) if each["type"] in OURS]
            patch[name] = _merged(mine, [each for each in after.get(name, []) if each["type"] in OURS], "type")
            patch[name] += [each for each in after.get(name, []) if _disrupts(each, before.get(name, []))]
            if not patch[name]:
                del patch[name]
        elif key is not None:
            patch[name] = _merged(before.get(name, []), after.get(name, []), key)
        elif isinstance(after.get(name), dict):
            patch[name] = {**after[name], "$patch": "replace"}
        else:
            patch[name] = after.get(name)
    return patch


def _disrupts(condition: dict[str, Any], before: list[dict[str, Any]]) -> bool:
    """Our own DisruptionTarget, told the first time."""
    return condition["type"] == DISRUPTION and not any(each["type"] == DISRUPTION for each in before)


def _merged(before: list[dict[str, Any]], after: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    old, new = {each[key]: each for each in before}, {each[key]: each for each in after}
    changed = [{**dict.fromkeys(old.get(name, ())), **each} for name, each in new.items() if old.get(name) != each]
    return changed + [{key: name, "$patch": "delete"} for name in old.keys() - new.keys()]


def overlaid(pod: Pod, mine: PodStatus | None) -> Pod:
    """The API's newest pod with our newest status: what is on its way there counts already.

    Conditions of others are the API's, and so is a terminal phase that somebody else decided.
    """
    if mine is None:
        return pod
    api = pod.status
    conditions = tuple(each for each in mine.conditions if each.type in OURS)
    status = replace(
        mine,
        conditions=conditions + tuple(each for each in api.conditions if each.type not in OURS),
        nominated_node_name=api.nominated_node_name,
        resource_claim_statuses=api.resource_claim_statuses,
    )
    if is_terminal(pod):
        status = replace(status, phase=api.phase, reason=api.reason, message=api.message)
    return replace(pod, status=status)
