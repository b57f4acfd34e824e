"""Builders for what is seen of a pod: its spec, sandbox and containers at a fixed time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod, PodSpec
from minikube.api.meta import ObjectMeta
from minikube.node.pod.observed import Observed
from minikube.node.runtime.base import Container, Sandbox, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SANDBOX = Sandbox("s", "u", "web", "default", 0, ready=True, created_at=NOW)
HOST = ("10.0.0.1",)


def wanted(name: str = "a", **more: Any) -> Wanted:
    return Wanted(name=name, image="i", **more)


def pod(policy: str = "Always", init: tuple[Wanted, ...] = (), main: tuple[Wanted, ...] = (), **more: Any) -> Pod:
    spec = PodSpec(containers=main or (wanted(),), init_containers=init, restart_policy=policy, **more)
    return Pod(metadata=ObjectMeta(name="web", namespace="default", uid="u", generation=1), spec=spec)


def running(name: str = "a", attempt: int = 0, **more: Any) -> Container:
    return Container(f"{name}{attempt}", "s", "u", name, attempt, State.RUNNING, started_at=NOW, **more)


def created(name: str = "a", attempt: int = 0) -> Container:
    return Container(f"{name}{attempt}", "s", "u", name, attempt, State.CREATED)


def exited(code: int, name: str = "a", attempt: int = 0, ago: float = 0, ran: float = 0, **more: Any) -> Container:
    """It ended `ago` seconds before now after having run for `ran` seconds."""
    end = NOW - timedelta(seconds=ago)
    return Container(
        f"{name}{attempt}",
        more.pop("sandbox", "s"),
        "u",
        name,
        attempt,
        State.EXITED,
        started_at=end - timedelta(seconds=ran),
        finished_at=end,
        exit_code=code,
        **more,
    )


def seen(*containers: Container, started: bool = True, ready: bool = True, **more: Any) -> Observed:
    """In one sandbox that is wired; all that runs has started and is ready unless said otherwise."""
    ids = frozenset(each.id for each in containers if started)
    given = {"sandboxes": (SANDBOX,), "ips": ("10.42.0.2",), "ready": ids if ready else frozenset(), **more}
    return Observed(containers=containers, started=ids, **given)
