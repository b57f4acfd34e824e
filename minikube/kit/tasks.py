"""Background tasks with an owner and a name: what fails is logged and, where said so, started again."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.001


async def guard(
    name: str, run: Callable[[], Awaitable[None]], *, restart_after: float = 1.0, limit: float = 30.0
) -> None:
    """Run `run()` for ever: a crash is logged and it starts again after a growing pause. Returns when `run`
    returns; cancellation passes through."""
    pause = restart_after
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        try:
            await run()
            return
        except Exception:
            log.exception("%s failed, again in %.0f s", name, pause)
        if loop.time() - started > 60:
            pause = restart_after
        await asyncio.sleep(pause)
        pause = min(limit, pause * 2)


async def until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run it until SIGTERM or SIGINT, which let it clean up. Threads give way to the loop within a millisecond."""
    sys.setswitchinterval(SWITCH_SECONDS)
    running = asyncio.create_task(work, name="main")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        log.info("stopping")
