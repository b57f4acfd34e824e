"""The pods that wait for a node: active by priority, backing off, or parked until something changes.

Rules: kube-scheduler's internal queue. A parked pod moves when a change could help a plugin that rejected it,
or after five minutes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable

import msgspec

from minikube.api.core_v1 import Pod
from minikube.kit.clock import Clock

INITIAL_BACKOFF, MAX_BACKOFF = 1.0, 10.0
PARKED_AT_MOST = 300.0
LEAST = 0.001
"""Seconds: for less uvloop makes no timer, but a callback that does not know when it is due."""


class Waiting(msgspec.Struct):
    pod: Pod
    attempts: int = 0
    plugins: frozenset[str] = frozenset()
    gated: bool = False
    tried_at: float = 0.0


class Queue:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order = itertools.count()
        self._active: list[tuple[int, int, str]] = []
        self._in_active: set[str] = set()
        self._pods: dict[str, Waiting] = {}
        self._parked: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pods)

    def add(self, pod: Pod) -> None:
        """A new pod, or one whose spec changed."""
        uid = pod.metadata.uid
        waiting = self._pods.get(uid)
        if waiting is not None:
            before, waiting.pod = waiting.pod, pod
            asks_otherwise = (before.spec, before.metadata.labels) != (pod.spec, pod.metadata.labels)
            if uid in self._parked and asks_otherwise and not pod.spec.scheduling_gates:
                self._activate(uid)
            return
        self._pods[uid] = Waiting(pod)
        if pod.spec.scheduling_gates:
            self._pods[uid].gated = True
            self._parked.add(uid)
        else:
            self._activate(uid)

    def remove(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self._parked.discard(uid)
        timer = self._timers.pop(uid, None)
        if timer is not None:
            timer.cancel()

    async def pop(self) -> Waiting:
        """The most urgent pod, by priority, then by age in the queue. It stays known until `remove`."""
        while True:
            while self._active:
                _, _, uid = heapq.heappop(self._active)
                self._in_active.discard(uid)
                waiting = self._pods.get(uid)
                if waiting is not None:
                    waiting.attempts += 1
                    waiting.tried_at = self._clock.monotonic()
                    return waiting
            self._ready.clear()
            await self._ready.wait()

    def park(self, waiting: Waiting, plugins: frozenset[str]) -> None:
        """Nothing fits: wait for a change that these plugins care about."""
        uid = waiting.pod.metadata.uid
        if uid not in self._pods:
            return
        waiting.plugins = plugins
        self._parked.add(uid)
        self._activate_after(uid, PARKED_AT_MOST)

    def retry(self, waiting: Waiting) -> None:
        """Something failed on the way: try again after the back-off."""
        uid = waiting.pod.metadata.uid
        if uid in self._pods:
            self._parked.add(uid)
            self._activate_after(uid, self._backoff(waiting))

    def wake(self, plugins: frozenset[str] | None, wakes: Callable[[Pod], bool] = lambda pod: True) -> None:
        """A change happened that matters to pods rejected by these plugins (None: by any)."""
        for uid in list(self._parked):
            waiting = self._pods[uid]
            if waiting.gated or (plugins is not None and waiting.plugins and not waiting.plugins & plugins):
                continue
            if wakes(waiting.pod):
                left = waiting.tried_at + self._backoff(waiting) - self._clock.monotonic()
                if left > 0:
                    self._activate_after(uid, left)
                else:
                    self._activate(uid)

    def pods(self) -> Iterable[Pod]:
        return [waiting.pod for waiting in self._pods.values()]

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _backoff(self, waiting: Waiting) -> float:
        return float(min(MAX_BACKOFF, INITIAL_BACKOFF * 2 ** max(0, waiting.attempts - 1)))

    def _activate(self, uid: str) -> None:
        timer = self._timers.pop(uid, None)
        if timer is not None:
            timer.cancel()
        self._parked.discard(uid)
        waiting = self._pods.get(uid)
        if waiting is None or uid in self._in_active:
            return
        waiting.gated = False
        self._in_active.add(uid)
        heapq.heappush(self._active, (-(waiting.pod.spec.priority or 0), next(self._order), uid))
        self._ready.set()

    def _activate_after(self, uid: str, seconds: float) -> None:
        timer = self._timers.pop(uid, None)
        now = asyncio.get_running_loop().time()
        due = now + seconds
        if timer is not None:
            timer.cancel()
            if uid in self._parked:
                due = min(due, timer.when())
        self._timers[uid] = asyncio.get_running_loop().call_at(max(due, now + LEAST), self._activate, uid)
