"""/healthz, /livez and /readyz: named checks, all of them or one by path (k8s.io/apiserver/pkg/server/healthz).

A check is an async function that raises HealthError; hooks are checks that hold once something has been done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

import msgspec

CHECK_SECONDS = 2.0


class HealthError(Exception):
    """Why a check does not hold."""


Check = Callable[[], Awaitable[None]]


class Report(msgspec.Struct, frozen=True):
    """The answer to a health request: plain text."""

    code: int
    text: str


class Health:
    """`checks` answer at all three paths, `ready_only` at /readyz alone."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        ready_only: Mapping[str, Check] | None = None,
        hooks: Collection[str] = (),
    ) -> None:
        self._checks = dict(checks)
        self._ready_only = dict(ready_only or {})
        self._pending = set(hooks)
        for name in hooks:
            self._checks[f"poststarthook/{name}"] = partial(self._hook, name)

    def done(self, hook: str) -> None:
        """From now on the hook's check holds."""
        self._pending.discard(hook)

    async def report(self, path: str, *, verbose: bool, excluded: Collection[str]) -> Report | None:
        """None when there is no such check."""
        endpoint, _, name = path.strip("/").partition("/")
        checks = {**self._checks, **self._ready_only} if endpoint == "readyz" else self._checks
        if name:
            return await self._single(name, checks[name]) if name in checks else None
        return await self._all(endpoint, checks, verbose=verbose, excluded=excluded)

    async def _single(self, name: str, check: Check) -> Report:
        why = await _problem(check)
        return Report(200, "ok") if why is None else Report(500, f"internal server error: {why}\n")

    async def _all(
        self, endpoint: str, checks: Mapping[str, Check], *, verbose: bool, excluded: Collection[str]
    ) -> Report:
        lines, failed = [], []
        for name, check in checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
            elif await _problem(check) is None:
                lines.append(f"[+]{name} ok")
            else:
                failed.append(name)
                lines.append(f"[-]{name} failed: reason withheld")
        unknown = sorted(set(excluded) - checks.keys())
        if unknown:
            told = ", ".join(f'"{name}"' for name in unknown)
            lines.append(f"warn: some health checks cannot be excluded: no matches for {told}")
        text = "\n".join(lines) + "\n"
        if failed:
            return Report(500, f"{text}{endpoint} check failed\n")
        return Report(200, f"{text}{endpoint} check passed\n" if verbose else "ok")

    async def _hook(self, name: str) -> None:
        if name in self._pending:
            raise HealthError("not finished")


async def _problem(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except HealthError as error:
        return str(error)
    except TimeoutError:
        return "timed out"
    return None


async def ping() -> None:
    """Whoever answers this is alive."""
