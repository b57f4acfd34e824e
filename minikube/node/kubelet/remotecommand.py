"""exec and attach: a client's SPDY streams or WebSocket channels on one side, a process on the other.

Rules: k8s.io/kubelet/pkg/cri/streaming/remotecommand. v1 tells an error as text, v4 as a metav1.Status; v5 can say
over a WebSocket that stdin has ended, which SPDY always could.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec
from aiohttp import web

from minikube.node.runtime.base import ExecStreams, RuntimeFault
from minikube.transport.channels import CLOSE, REMOTE_COMMAND, Channels, is_websocket
from minikube.transport.hijack import LOOK_SECONDS, TCP_ESTABLISHED, Hijacked, hijack, tcp_state
from minikube.transport.spdy import SpdyConnection, SpdyStream

SPDY_VERSIONS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
VERSION_HEADER = "X-Stream-Protocol-Version"
STREAM_SECONDS = 30.0
"""In which a client must have opened all its streams."""
STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
STDIN_AHEAD = 64
"""Messages that wait for a process which does not read."""


class Options(msgspec.Struct, frozen=True):
    """Which streams a client wants; a terminal has no stderr of its own."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    @classmethod
    def of(cls, request: web.BaseRequest) -> Options:
        """From the query. Raises ValueError."""
        query = request.query
        asked = {name: query.get(name, "") in ("1", "true") for name in ("input", "output", "error", "tty")}
        if not (asked["input"] or asked["output"] or asked["error"]):
            raise ValueError("you must specify at least 1 of stdin, stdout, stderr")
        return cls(asked["input"], asked["output"], asked["error"] and not asked["tty"], asked["tty"])


class Session(Protocol):
    """A client's end, whatever it speaks."""

    async def stdin(self) -> bytes:
        """b"" at the end."""
        ...

    async def resize(self) -> bytes:
        """Pieces of a stream of JSON `{"Width": 80, "Height": 24}`; b"" at the end."""
        ...

    async def write(self, stream: int, data: bytes) -> None: ...

    async def finish(self, status: dict[str, Any]) -> None:
        """How it ended; nothing is written afterwards."""
        ...

    async def gone(self) -> None:
        """Returns when the client has left; it may not be heard while stdin is stuck."""
        ...

    @property
    def stuck(self) -> bool:
        """Whether the client waits for a process that leaves its stdin unread."""
        ...

    async def ping(self) -> None:
        """A client that has left answers by a reset. Raises ConnectionError."""
        ...


async def serve(
    request: web.BaseRequest, options: Options, start: Callable[[], Awaitable[ExecStreams]]
) -> web.StreamResponse:
    """Answer 101, start the process and carry its streams until it ends; failing to start is told as an end."""
    if is_websocket(request):
        channels = await Channels.accept(request, REMOTE_COMMAND)
        async with _over_websocket(channels, options) as session:
            await _run(session, options, start, request.transport)
        return channels.response
    offered = [each.strip() for value in request.headers.getall(VERSION_HEADER, []) for each in value.split(",")]
    version = next((each for each in SPDY_VERSIONS if each in offered), "")
    if offered and not version:
        headers = {"X-Accepted-Stream-Protocol-Versions": ",".join(SPDY_VERSIONS)}
        return web.Response(status=403, headers=headers)
    async with _over_spdy(request, options, version or SPDY_VERSIONS[-1]) as session:
        await _run(session, options, start, request.transport)
    return Hijacked()


async def _run(
    session: Session,
    options: Options,
    start: Callable[[], Awaitable[ExecStreams]],
    transport: asyncio.WriteTransport | None,
) -> None:
    try:
        process = await start()
    except RuntimeFault as error:
        await session.finish(failed(f"Internal error occurred: {error.message}"))
        return
    try:
        await relay(session, process, options, transport)
    finally:
        await process.close()


async def relay(
    session: Session, process: ExecStreams, options: Options, transport: asyncio.WriteTransport | None
) -> None:
    """Until the process has ended and everything it wrote is delivered, or the client has gone: `session` hears of
    that while it is read, `transport` tells it also while the process leaves its stdin unread."""
    work = asyncio.create_task(_relay(session, process, options), name="streams of a process")
    leaving = asyncio.create_task(session.gone(), name="client of a process")
    departing = asyncio.create_task(_departure(session, transport), name="departure of a client")
    try:
        await asyncio.wait({work, leaving, departing}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
        elif departing.done() and transport is not None:
            transport.abort()
    except ConnectionError:
        return
    finally:
        for task in (work, leaving, departing):
            task.cancel()
        await asyncio.gather(work, leaving, departing, return_exceptions=True)  # whose client has gone


async def _departure(session: Session, transport: asyncio.WriteTransport | None) -> None:
    """A client that left behind unread stdin has its FIN queued behind that: only a reset tells of it."""
    while tcp_state(transport) == TCP_ESTABLISHED:
        await asyncio.sleep(LOOK_SECONDS)
        if session.stuck:
            with contextlib.suppress(TimeoutError):  # nor does it read
                async with asyncio.timeout(LOOK_SECONDS):
                    await session.ping()


async def _relay(session: Session, process: ExecStreams, options: Options) -> None:
    feeding = []
    if options.stdin:
        feeding.append(asyncio.create_task(_feed(session, process), name="stdin"))
    if options.tty:
        feeding.append(asyncio.create_task(_resize(session, process), name="resize"))
    try:
        async with asyncio.TaskGroup() as outputs:
            for stream, wanted in ((STDOUT, options.stdout), (STDERR, options.stderr)):
                if wanted:
                    outputs.create_task(_drain(session, process, stream), name=f"output {stream}")
        try:
            code = await process.wait()
        except RuntimeFault as error:
            await session.finish(failed(error.message))
        else:
            await session.finish(ended(code))
    except* ConnectionError as group:
        raise ConnectionResetError(str(group.exceptions[0])) from group
    finally:
        for task in feeding:
            task.cancel()
        if feeding:
            await asyncio.wait(feeding)


async def _drain(session: Session, process: ExecStreams, stream: int) -> None:
    while data := await process.read(stream):
        await session.write(stream, data)


async def _feed(session: Session, process: ExecStreams) -> None:
    try:
        while data := await session.stdin():
            await process.write(data)
        await process.close_stdin()
    except ConnectionError:
        return


async def _resize(session: Session, process: ExecStreams) -> None:
    decoder = msgspec.json.Decoder(Size)
    rest = b""
    try:
        while data := await session.resize():
            *texts, rest = (rest + data).replace(b"}", b"}\n").split(b"\n")
            for text in texts:
                if text.strip():
                    size = decoder.decode(text)
                    await process.resize(size.width, size.height)
    except (ConnectionError, msgspec.DecodeError):
        return


class Size(msgspec.Struct, frozen=True, rename="pascal"):
    width: int = 0
    height: int = 0


def ended(code: int) -> dict[str, Any]:
    """The metav1.Status of a command that ran."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failed(message: str) -> dict[str, Any]:
    """The metav1.Status of a command that could not run."""
    return {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}


def _told(status: dict[str, Any], version: int) -> bytes:
    if version >= 4:
        return msgspec.json.encode(status)
    return b"" if status["status"] == "Success" else status["message"].encode()


# ---- SPDY ------------------------------------------------------------------------------------------------


class _SpdySession:
    def __init__(self, connection: SpdyConnection, streams: dict[str, SpdyStream], version: int) -> None:
        self._connection, self._streams, self._version = connection, streams, version

    async def stdin(self) -> bytes:
        return await self._streams["stdin"].read()

    async def resize(self) -> bytes:
        return await self._streams["resize"].read() if "resize" in self._streams else b""

    async def write(self, stream: int, data: bytes) -> None:
        await self._streams["stdout" if stream == STDOUT else "stderr"].write(data)

    async def finish(self, status: dict[str, Any]) -> None:
        for name in ("stdout", "stderr"):
            if name in self._streams:
                await self._streams[name].close()
        if told := _told(status, self._version):
            await self._streams["error"].write(told)
        await self._streams["error"].close()

    async def gone(self) -> None:
        await self._connection.wait_closed()

    @property
    def stuck(self) -> bool:
        return self._connection.stuck

    async def ping(self) -> None:
        await self._connection.ping()


@asynccontextmanager
async def _over_spdy(request: web.BaseRequest, options: Options, version: str) -> AsyncIterator[Session]:
    number = int(version[1]) if version[0] == "v" else 1
    wanted = {
        "error": True,
        "stdin": options.stdin,
        "stdout": options.stdout,
        "stderr": options.stderr,
        "resize": options.tty and number >= 3,
    }
    stream = hijack(request, {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", VERSION_HEADER: version})
    async with SpdyConnection(stream, server=True) as connection:
        streams: dict[str, SpdyStream] = {}
        async with asyncio.timeout(STREAM_SECONDS):
            while not all(name in streams for name, asked in wanted.items() if asked):
                opened = await connection.accept()
                if opened is None:
                    raise ConnectionResetError("the client has gone")
                streams[opened.headers.get("streamtype", "")] = opened
        yield _SpdySession(connection, streams, number)


# ---- WebSocket -------------------------------------------------------------------------------------------


class _WebSocketSession:
    def __init__(self, channels: Channels, options: Options) -> None:
        self._channels, self._options = channels, options
        self._stdin: asyncio.Queue[bytes] = asyncio.Queue(STDIN_AHEAD)
        self._sizes: asyncio.Queue[bytes] = asyncio.Queue(STDIN_AHEAD)

    async def gone(self) -> None:
        """Reads what the client sends: messages come only while this runs."""
        while (message := await self._channels.receive()) is not None:
            channel, data = message
            if channel == STDIN and data and self._options.stdin:
                await self._stdin.put(data)
            elif channel == RESIZE and data and self._options.tty:
                await self._sizes.put(data)
            elif channel == CLOSE and data[:1] == bytes((STDIN,)) and self._channels.version >= 5:
                await self._stdin.put(b"")

    @property
    def stuck(self) -> bool:
        return self._stdin.full()

    async def ping(self) -> None:
        await self._channels.ping()

    async def stdin(self) -> bytes:
        return await self._stdin.get()

    async def resize(self) -> bytes:
        return await self._sizes.get()

    async def write(self, stream: int, data: bytes) -> None:
        await self._channels.send(stream, data)

    async def finish(self, status: dict[str, Any]) -> None:
        if told := _told(status, self._channels.version):
            await self._channels.send(ERROR, told)


@asynccontextmanager
async def _over_websocket(channels: Channels, options: Options) -> AsyncIterator[Session]:
    # An empty message says that the process has started (upstream does so on the lowest channel it writes).
    first = STDOUT if options.stdout else STDERR if options.stderr else ERROR
    await channels.send(first, b"")
    try:
        yield _WebSocketSession(channels, options)
    finally:
        await channels.close()
