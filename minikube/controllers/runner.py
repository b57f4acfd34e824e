"""Runs the controllers: one queue each, keys from informers, back-off on failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from minikube.api.meta import Key, Object
from minikube.controllers.base import Background, Context, Controller, Watch
from minikube.errors import ApiError
from minikube.kit.backoff import Backoff
from minikube.kit.tasks import guard
from minikube.kit.workqueue import WorkQueue

log = logging.getLogger(__name__)


class Runner:
    """`contexts(name)` makes what a controller of that name is built from."""

    def __init__(self, contexts: Callable[[str], Context], controllers: Sequence[type[Any]]) -> None:
        self._controllers: list[tuple[Controller, Context]] = []
        for kind in controllers:
            context = contexts(kind.name)
            self._controllers.append((kind(context), context))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for controller, context in self._controllers:
                tasks.create_task(_drive(controller, context), name=controller.name)


async def _drive(controller: Controller, context: Context) -> None:
    queue: WorkQueue[Key] = WorkQueue()
    backoff: Backoff[Key] = Backoff(base=0.005, limit=300.0)
    informers = [context.informers.of(watch.kind) for watch in controller.watches]
    for informer in informers:
        await informer.wait_synced()
    for informer, watch in zip(informers, controller.watches, strict=True):
        informer.add_handler(_handler(watch, queue))

    async def work() -> None:
        while True:
            key = await queue.get()
            try:
                after = await controller.reconcile(key)
            except ApiError as error:
                queue.add_after(key, backoff.next(key))
                log.debug("%s: %s: %s", controller.name, key, error)
            except Exception:
                queue.add_after(key, backoff.next(key))
                log.exception("%s failed on %s", controller.name, key)
            else:
                backoff.forget(key)
                if after is not None:
                    queue.add_after(key, after.seconds)
            finally:
                queue.done(key)

    try:
        async with asyncio.TaskGroup() as tasks:
            if isinstance(controller, Background):
                tasks.create_task(guard(controller.name, lambda: controller.run(queue.add)))
            for number in range(controller.workers):
                tasks.create_task(guard(f"{controller.name}-{number}", work))
    finally:
        queue.close()


def _handler(watch: Watch, queue: WorkQueue[Key]) -> Callable[[Object | None, Object | None], None]:
    def handle(old: Object | None, new: Object | None) -> None:
        for obj in (old, new):
            if obj is not None:
                for key in watch.keys(obj):
                    queue.add(key)

    return handle
