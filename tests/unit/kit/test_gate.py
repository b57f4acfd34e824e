"""Who enters a gate, and when."""

from __future__ import annotations

import asyncio

from minikube.kit.gate import Gate


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Guest:
    def __init__(self, gate: Gate, priority: int, inside: list[int]) -> None:
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit(gate, priority, inside))

    async def _visit(self, gate: Gate, priority: int, inside: list[int]) -> None:
        async with gate.enter(priority):
            inside.append(priority)
            await self.leave.wait()


async def test_the_lower_priority_number_enters_first_and_equals_in_order() -> None:
    gate, inside = Gate(1), []  # type: tuple[Gate, list[int]]
    guests = [Guest(gate, priority, inside) for priority in (5, 2, 1, 1)]
    await settle()
    assert inside == [5]
    guests[0].leave.set()
    await settle()
    assert inside == [5, 1]
    for guest in guests:
        guest.leave.set()
    await asyncio.gather(*(guest.task for guest in guests))
    assert inside == [5, 1, 1, 2]


async def test_who_gives_up_waiting_does_not_keep_others_out() -> None:
    gate, inside = Gate(1), []  # type: tuple[Gate, list[int]]
    first, second, third = (Guest(gate, number, inside) for number in (1, 2, 3))
    await settle()
    second.task.cancel()
    first.leave.set()
    second.task.cancel()
    await settle()
    assert inside == [1, 3]
    third.leave.set()
    await third.task
    async with asyncio.timeout(1), gate.enter():
        pass


async def test_a_turn_that_comes_with_a_cancellation_is_passed_on() -> None:
    gate, inside = Gate(1), []  # type: tuple[Gate, list[int]]
    async with gate.enter():
        second, third = (Guest(gate, number, inside) for number in (2, 3))
        await settle()
    second.task.cancel()  # its turn has come, but it does not know yet
    await settle()
    assert inside == [3]
    third.leave.set()
    await third.task


async def test_who_stays_too_long_holds_nobody_up_and_leaves_once() -> None:
    gate, inside = Gate(1, patience=0.01), []  # type: tuple[Gate, list[int]]
    slow, second = Guest(gate, 1, inside), Guest(gate, 2, inside)
    await asyncio.sleep(0.05)
    assert inside == [1, 2]
    slow.leave.set()
    second.leave.set()
    await asyncio.gather(slow.task, second.task)
    last = [Guest(gate, number, inside) for number in (3, 4)]
    await settle()
    assert inside == [1, 2, 3]
    for guest in last:
        guest.leave.set()
    await asyncio.gather(*(guest.task for guest in last))
