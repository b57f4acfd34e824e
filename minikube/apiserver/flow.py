"""How many requests are worked on at once: seats for reads and for writes, and a fair queue of users for each.

Rules: kube-apiserver's --max-requests-inflight and --max-mutating-requests-inflight (429 with Retry-After), with
one queue a user so that a noisy client waits behind itself. Long-running requests and administrators take no seat.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from minikube.apiserver.parking import node_parked_at
from minikube.apiserver.request_info import RequestInfo
from minikube.auth.base import MASTERS, User
from minikube.errors import TooManyRequests

READING = frozenset({"get", "list", "watch"})
LONG_RUNNING = frozenset({"attach", "exec", "log", "portforward", "proxy"})
QUEUED_A_USER = 50
WAIT_SECONDS = 15.0
EXEMPT_PATHS = ("/healthz", "/livez", "/readyz", "/metrics")


class Seats:
    """`limit` at once; whoever finds none waits in its user's queue, and queues are served in turn."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    @asynccontextmanager
    async def seat(self, user: str) -> AsyncIterator[None]:
        """Raises TooManyRequests when the user's queue is full or moves too slowly."""
        await self._take(user)
        try:
            yield
        finally:
            self._free()

    async def _take(self, user: str) -> None:
        if self.taken < self.limit and not self._queues:
            self.taken += 1
            return
        queue = self._queues.setdefault(user, deque())
        if len(queue) >= QUEUED_A_USER:
            raise _refused()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except (TimeoutError, asyncio.CancelledError) as error:
            if turn.done() and not turn.cancelled():
                self._free()
            else:
                self._leave(user, turn)
            if isinstance(error, TimeoutError):
                raise _refused() from None
            raise

    def _leave(self, user: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(user)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[user]

    def _free(self) -> None:
        """Give the seat to the next user's oldest request, or keep it free."""
        while self._queues:
            user, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._queues[user] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1


class Flow:
    def __init__(self, reads: int, writes: int) -> None:
        self.reads = Seats(reads)
        self.writes = Seats(writes)

    @asynccontextmanager
    async def admitted(self, user: User, info: RequestInfo) -> AsyncIterator[None]:
        """While the block runs the request has its seat. Raises TooManyRequests."""
        if is_long_running(info) or MASTERS in user.groups or info.path.startswith(EXEMPT_PATHS):
            yield
            return
        seats = self.reads if info.verb in READING else self.writes
        async with seats.seat(user.name):
            yield


def is_long_running(info: RequestInfo) -> bool:
    return (
        info.upgraded or info.verb == "watch" or info.subresource in LONG_RUNNING or bool(node_parked_at(info.path))
    )


def _refused() -> TooManyRequests:
    return TooManyRequests("too many requests, please try again later", retry_after=1)
