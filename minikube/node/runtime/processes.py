"""Interactive commands through containerd's own Tasks API, over pipes that are ours.

CRI's streaming server never tells the end of a command that left its stdin unread; here the exit of the process is
an event of its own, whatever is still in the pipes. Field numbers: containerd api/services/tasks/v1/tasks.proto.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec

from minikube.node.runtime.base import RuntimeFault
from minikube.node.runtime.channel import Native
from minikube.node.runtime.specs import Specs
from minikube.node.runtime.wire import decode, encode
from minikube.transport.hijack import RawStream

PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process"
PIPE_BYTES = 1024 * 1024
SIGKILL = 9
STDOUT, STDERR = 1, 2


class Tasks:
    """containerd's service for the processes of containers. Raises RuntimeFault."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._native, self._specs = Native(channel), Specs(channel)

    async def call(self, method: str, request: bytes, timeout: float | None = 30) -> bytes:
        return await self._native.call("tasks", f"Tasks/{method}", request, timeout=timeout)

    async def kill(self, container: str, number: int) -> None:
        """Send this signal to its first process."""
        await self.call("Kill", encode((1, container), (3, number)))

    async def ended(self, container: str) -> None:
        """Returns when its first process has exited."""
        await self.call("Wait", encode((1, container)), timeout=None)

    async def process_of(self, container: str) -> dict[str, Any]:
        """The OCI process that the container was made with."""
        process: dict[str, Any] = (await self._specs.get(container))["process"]
        return process


def command_spec(process: Mapping[str, Any], command: Sequence[str], *, tty: bool) -> dict[str, Any]:
    """The OCI process of a command that runs beside the container's own, as containerd's CRI makes it."""
    env = [*process.get("env", ()), "TERM=xterm"] if tty else process.get("env", [])
    return {**process, "args": list(command), "terminal": tty, "env": env}


def signal_number(name: str) -> int:
    """Of SIGUSR1, SIGRTMIN+3, SIGRTMAX-2."""
    for base in ("SIGRTMIN", "SIGRTMAX"):
        if name.startswith(base):
            return int(signal.Signals[base]) + int(name.removeprefix(base) or 0)
    return int(signal.Signals[name])


class Process:
    """ExecStreams of one command. Made by `start`, given up by `close`, which kills it if it still runs."""

    def __init__(self, tasks: Tasks, container: str, pipes: Path) -> None:
        self._tasks, self._container, self._pipes = tasks, container, pipes
        self._id = uuid.uuid4().hex
        self._outputs: dict[int, RawStream] = {}
        self._stdin: RawStream | None = None
        self._exit: asyncio.Task[int] | None = None

    @classmethod
    async def start(
        cls, tasks: Tasks, container: str, command: Sequence[str], streams: Mapping[str, bool], *, tty: bool
    ) -> Process:
        """`streams`: whether stdin, stdout and stderr are wanted. Raises RuntimeFault, worded as CRI's."""
        spec = command_spec(await tasks.process_of(container), command, tty=tty)
        pipes = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="minikube-exec-"))
        process = cls(tasks, container, pipes)
        try:
            await process._begin(spec, [name for name, wanted in streams.items() if wanted], tty=tty)
        except RuntimeFault as error:
            await process.close()
            message = f"error executing command in container: failed to exec in container: {error.message}"
            raise type(error)(message) from error
        except BaseException:
            await process.close()
            raise
        return process

    async def _begin(self, spec: Mapping[str, Any], wanted: Sequence[str], *, tty: bool) -> None:
        paths = {name: str(self._pipes / name) for name in wanted}
        for path in paths.values():
            os.mkfifo(path, 0o600)
        with contextlib.ExitStack() as held:
            # Held open at both ends until the process has its own: a reader would see an end before the beginning.
            for path in paths.values():
                held.callback(os.close, os.open(path, os.O_RDWR | os.O_NONBLOCK))
            body = encode((1, PROCESS_TYPE), (2, msgspec.json.encode(spec)))
            # The shim opens both outputs, whoever wants them; a terminal has one.
            unwanted = {"stdin": "", "stdout": os.devnull, "stderr": "" if tty else os.devnull}
            pipes = [(number, paths.get(name, path)) for number, (name, path) in enumerate(unwanted.items(), 2)]
            await self._tasks.call(
                "Exec", encode((1, self._container), *pipes, (5, int(tty)), (6, body), (7, self._id))
            )
            self._exit = asyncio.create_task(self._wait(), name="exit of a command")
            try:
                await self._tasks.call("Start", self._named())
            except RuntimeFault as error:
                raise type(error)(f'failed to start exec "{self._id}": {error.message}') from error
            await self._connect(paths)

    async def _connect(self, paths: Mapping[str, str]) -> None:
        loop = asyncio.get_running_loop()
        for number, name in ((STDOUT, "stdout"), (STDERR, "stderr")):
            if name in paths:
                end = _opened(paths[name], os.O_RDONLY)
                _, self._outputs[number] = await loop.connect_read_pipe(PipeEnd, end)
        if "stdin" in paths:
            _, self._stdin = await loop.connect_write_pipe(PipeEnd, _opened(paths["stdin"], os.O_WRONLY))

    async def read(self, stream: int) -> bytes:
        found = self._outputs.get(stream)
        return await found.read() if found is not None else b""

    async def write(self, data: bytes) -> None:
        if self._stdin is not None:
            await self._stdin.write(data)

    async def close_stdin(self) -> None:
        if self._stdin is not None:
            self._stdin.close()
            await self._stdin.wait_closed()
            with contextlib.suppress(RuntimeFault):  # it has ended by itself
                await self._tasks.call("CloseIO", self._named((3, 1)))

    async def resize(self, width: int, height: int) -> None:
        with contextlib.suppress(RuntimeFault):  # it has ended by itself
            await self._tasks.call("ResizePty", self._named((3, width), (4, height)))

    async def wait(self) -> int:
        assert self._exit is not None
        return await asyncio.shield(self._exit)

    async def close(self) -> None:
        for output in self._outputs.values():
            output.close()
        if self._stdin is not None:
            self._stdin.abort()
        if self._exit is not None:
            with contextlib.suppress(RuntimeFault):  # it has ended, or never began
                if not self._exit.done():
                    await self._tasks.call("Kill", self._named((3, SIGKILL)))
                    await asyncio.wait({self._exit}, timeout=10)
                await self._tasks.call("DeleteProcess", self._named())
            self._exit.cancel()
            await asyncio.wait({self._exit})
        await asyncio.to_thread(shutil.rmtree, self._pipes, ignore_errors=True)

    async def _wait(self) -> int:
        answer = dict(decode(await self._tasks.call("Wait", self._named(), timeout=None)))
        code = answer.get(1, 0)
        return code if isinstance(code, int) else 0

    def _named(self, *more: tuple[int, int]) -> bytes:
        return encode((1, self._container), (2, self._id), *more)


class PipeEnd(RawStream):
    """One end of a pipe: it only reads, or only writes."""

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False


def _opened(path: str, flags: int) -> Any:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    with contextlib.suppress(OSError):  # the user's limit of pipe memory
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "wb", buffering=0)
