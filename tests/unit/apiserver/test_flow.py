"""Seats for requests: limits, fair turns between users, refusal."""

from __future__ import annotations

import asyncio

import pytest

from minikube.apiserver import flow
from minikube.apiserver.flow import Flow, Seats
from minikube.apiserver.request_info import request_info
from minikube.auth.base import MASTERS, User
from minikube.errors import TooManyRequests


class Office:
    """Requests that keep their seat until they are told to leave."""

    def __init__(self, seats: Seats) -> None:
        self.seats = seats
        self.served: list[str] = []
        self.leave = asyncio.Semaphore(0)

    async def visit(self, user: str) -> None:
        async with self.seats.seat(user):
            self.served.append(user)
            await self.leave.acquire()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_users_that_wait_are_served_in_turn():
    office = Office(Seats(1))
    tasks = [asyncio.create_task(office.visit(user)) for user in ("a", "a", "a", "b", "c")]
    await settled()
    assert office.served == ["a"]
    assert office.seats.waiting == 4
    for _ in range(4):
        office.leave.release()
        await settled()
    assert office.served == ["a", "a", "b", "c", "a"]
    office.leave.release()
    await asyncio.gather(*tasks)
    assert (office.seats.taken, office.seats.waiting) == (0, 0)


async def test_a_full_queue_refuses_its_user_and_nobody_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flow, "QUEUED_A_USER", 1)
    office = Office(Seats(1))
    tasks = [asyncio.create_task(office.visit(user)) for user in ("a", "a")]
    await settled()
    with pytest.raises(TooManyRequests) as refused:
        await office.visit("a")
    assert refused.value.retry_after == 1
    tasks.append(asyncio.create_task(office.visit("b")))
    await settled()
    assert office.seats.waiting == 2
    for _ in tasks:
        office.leave.release()
    await asyncio.gather(*tasks)


async def test_a_request_that_goes_away_while_waiting_gives_its_place_up():
    office = Office(Seats(1))
    first = asyncio.create_task(office.visit("a"))
    await settled()
    second = asyncio.create_task(office.visit("b"))
    await settled()
    second.cancel()
    await settled()
    assert office.seats.waiting == 0
    office.leave.release()
    await first
    assert office.seats.taken == 0


async def test_a_request_cancelled_in_the_moment_of_its_turn_passes_the_seat_on():
    office = Office(Seats(1))
    async with office.seats.seat("a"):
        second, third = (asyncio.create_task(office.visit(user)) for user in ("b", "c"))
        await settled()
    second.cancel()
    await settled()
    assert office.served == ["c"]
    office.leave.release()
    await third
    assert office.seats.taken == 0


@pytest.mark.parametrize(
    ("method", "path", "groups", "reads", "writes"),
    [
        ("GET", "/api/v1/pods", (), 1, 0),
        ("POST", "/api/v1/namespaces/x/pods", (), 0, 1),
        ("GET", "/api/v1/watch/pods", (), 0, 0),
        ("GET", "/api/v1/namespaces/x/pods/a/log", (), 0, 0),
        ("POST", "/api/v1/namespaces/x/pods", (MASTERS,), 0, 0),
        ("GET", "/readyz", (), 0, 0),
    ],
)
async def test_what_takes_a_seat(method: str, path: str, groups: tuple[str, ...], reads: int, writes: int):
    of = Flow(1, 1)
    async with of.admitted(User("u", groups=groups), request_info(method, path)):
        assert (of.reads.taken, of.writes.taken) == (reads, writes)
    assert (of.reads.taken, of.writes.taken) == (0, 0)
