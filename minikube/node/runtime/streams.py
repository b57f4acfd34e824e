"""A running container's own streams over CRI's streaming server: attach as SPDY/3.1 (v4.channel.k8s.io).

Of the two protocols that runtimes speak only SPDY knows an end of stdin.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import msgspec
from yarl import URL

from minikube.node.runtime.base import RuntimeFault
from minikube.transport.by_hand import ask
from minikube.transport.hijack import RawStream, dial
from minikube.transport.spdy import SpdyConnection, SpdyStream

PROTOCOL = "v4.channel.k8s.io"
CONNECT_SECONDS = 10.0
STDOUT, STDERR = 1, 2


class CriStreams:
    """ExecStreams over the URL that `Exec` or `Attach` answered. Made by `connect`, given up by `close`."""

    def __init__(self, owner: AsyncExitStack, streams: dict[str, SpdyStream]) -> None:
        self._owner, self._streams = owner, streams

    @classmethod
    async def connect(cls, url: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> CriStreams:
        """Raises RuntimeFault with the runtime's own words."""
        wanted = {"error": True, "stdin": stdin, "stdout": stdout, "stderr": stderr and not tty, "resize": tty}
        owner = AsyncExitStack()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                stream, spdy = await _connection(URL(url))
                owner.callback(stream.abort)  # the runtime may take nothing any more: closing would wait for that
                await owner.enter_async_context(spdy)
                streams = {name: await spdy.open({"streamType": name}) for name, asked in wanted.items() if asked}
        except (OSError, TimeoutError) as error:
            await owner.aclose()
            raise RuntimeFault(f"the runtime's streaming server does not answer: {error}") from error
        except BaseException:
            await owner.aclose()
            raise
        return cls(owner, streams)

    async def read(self, stream: int) -> bytes:
        found = self._streams.get("stdout" if stream == STDOUT else "stderr")
        return await found.read() if found is not None else b""

    async def write(self, data: bytes) -> None:
        await self._streams["stdin"].write(data)

    async def close_stdin(self) -> None:
        if (stdin := self._streams.get("stdin")) is not None:
            await stdin.close()

    async def resize(self, width: int, height: int) -> None:
        if (resize := self._streams.get("resize")) is not None:
            await resize.write(msgspec.json.encode({"Width": width, "Height": height}) + b"\n")

    async def wait(self) -> int:
        """Raises RuntimeFault when the command could not be run."""
        told = b""
        while data := await self._streams["error"].read():
            told += data
        return exit_code(told)

    async def close(self) -> None:
        await self._owner.aclose()


def exit_code(status: bytes) -> int:
    """What the metav1.Status on the error stream says. Raises RuntimeFault."""
    try:
        found = msgspec.json.decode(status)
    except msgspec.DecodeError:
        raise RuntimeFault(status.decode(errors="replace") or "the runtime closed the stream") from None
    if found.get("status") == "Success":
        return 0
    if found.get("reason") == "NonZeroExitCode":
        for cause in (found.get("details") or {}).get("causes") or ():
            if cause.get("reason") == "ExitCode" and cause.get("message", "").isdigit():
                return int(cause["message"])
    raise RuntimeFault(found.get("message", "") or "the command failed")


async def _connection(url: URL) -> tuple[RawStream, SpdyConnection]:
    stream = await dial(url.host or "127.0.0.1", url.port or 80)
    headers = {
        "Host": url.authority,
        "Connection": "Upgrade",
        "Upgrade": "SPDY/3.1",
        "X-Stream-Protocol-Version": PROTOCOL,
        "Content-Length": "0",
    }
    try:
        status = (await ask(stream, "POST", url.raw_path_qs, headers)).status
        if status != 101:
            text = (await stream.read()).decode(errors="replace").strip()
            raise RuntimeFault(text or f"the runtime's streaming server answered {status}")
    except BaseException:
        stream.abort()
        raise
    return stream, SpdyConnection(stream, server=False)
