"""Lifecycle handlers, postStart and preStop (pkg/kubelet/lifecycle/handlers.go)."""

from __future__ import annotations

from collections.abc import Sequence

from minikube.api.core_v1 import Container, LifecycleHandler
from minikube.kit.clock import Clock
from minikube.node.probes.handlers import Failed, NotTried, dial, http_get, port_of, reach
from minikube.node.runtime.base import Runtime, RuntimeFault

HTTP_TIMEOUT = 30.0
EXEC_TIMEOUT = 3600.0


class HookFailed(Exception):
    """The message is what the event says after `PostStartHook failed: `."""


async def run_hook(
    runtime: Runtime, clock: Clock, wanted: Container, container: str, handler: LifecycleHandler, ips: Sequence[str]
) -> None:
    """Raises HookFailed. `ips` are the pod's; the caller bounds the time."""
    try:
        if handler.sleep is not None:
            await clock.sleep(handler.sleep.seconds)
        elif handler.exec is not None:
            await _exec(runtime, wanted, container, handler.exec.command)
        elif handler.http_get is not None:
            await http_get(handler.http_get, wanted, reach(ips), HTTP_TIMEOUT)
        elif handler.tcp_socket is not None:
            host = handler.tcp_socket.host or reach(ips)
            await dial(host, port_of(handler.tcp_socket.port, wanted), HTTP_TIMEOUT)
    except (Failed, NotTried, RuntimeFault) as error:
        raise HookFailed(str(error)) from error


async def _exec(runtime: Runtime, wanted: Container, container: str, command: Sequence[str]) -> None:
    result = await runtime.exec_sync(container, command, timeout=EXEC_TIMEOUT)
    if result.exit_code == 0:
        return
    line, output = " ".join(command), result.output.decode(errors="replace")
    raise HookFailed(
        f'Exec lifecycle hook ([{line}]) for Container "{wanted.name}" failed - error: '
        f"command '{line}' exited with {result.exit_code}: {output}, message: {output!r}"
    )
