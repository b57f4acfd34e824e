"""One try of a probe: http, tcp, grpc or exec, with the words of k8s.io/kubernetes/pkg/probe.

HTTP is spoken by hand: a status line and a few headers are all that counts, and a session for every probe would
cost more than the probe.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

import msgspec

from minikube.api.core_v1 import Container, HTTPGetAction

OWN_HEADERS = (("User-Agent", "kube-probe/1.37"), ("Accept", "*/*"), ("Connection", "close"))
BODY_LIMIT = 10 * 1024
REDIRECTS = 10


class Failed(Exception):
    """The reason, in the words of an Unhealthy event."""


class NotTried(Exception):
    """Nobody was asked, so nothing is known: the probe names a port that the container does not have."""


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


def reach(ips: Sequence[str]) -> str:
    return ips[0] if ips else "127.0.0.1"


def port_of(port: int | str | None, wanted: Container) -> int:
    """A number, or the name of one of the container's ports. Raises NotTried."""
    found = next((each.container_port for each in wanted.ports if each.name and each.name == port), None)
    if found is None:
        try:
            found = int(port or 0)
        except ValueError:
            raise NotTried(f'strconv.Atoi: parsing "{port}": invalid syntax') from None
    if not 0 < found < 65536:
        raise NotTried(f"invalid port number: {found}")
    return found


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def dial(host: str, port: int, timeout: float) -> None:
    """A TCP connection is all that is wanted. Raises Failed."""
    try:
        async with asyncio.timeout(timeout):
            _, writer = await _connect(host, port, None)
            writer.close()
    except TimeoutError:
        raise Failed(f"dial tcp {_joined(host, port)}: i/o timeout") from None


async def http_get(action: HTTPGetAction, wanted: Container, address: str, timeout: float) -> str:
    """2xx and 3xx are successes, certificates are not verified; the text of a warning or "".

    Raises Failed, NotTried.
    """
    scheme = (action.scheme or "HTTP").lower()
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    url = f"{scheme}://{_joined(action.host or address, port_of(action.port, wanted))}{path}"
    headers = headers_of(action)
    try:
        async with asyncio.timeout(timeout):
            return await _followed(url, headers)
    except TimeoutError:
        text = f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        raise Failed(text) from None


def headers_of(action: HTTPGetAction) -> Sequence[tuple[str, str]]:
    """All that are asked for, also of the same name; ours where there is none. An empty one of ours is left out."""
    given = [(each.name, each.value) for each in action.http_headers]
    names = {name.lower() for name, _ in given}
    ours = [each for each in OWN_HEADERS if each[0].lower() not in names]
    omissible = {"user-agent", "accept"}
    return [(name, value) for name, value in (*ours, *given) if value or name.lower() not in omissible]


async def _followed(url: str, headers: Sequence[tuple[str, str]]) -> str:
    first = urlsplit(url)
    for _ in range(REDIRECTS):
        answer = await _get(url, headers)
        target = answer.headers.get("location", "")
        if answer.status in (301, 302, 303, 307, 308) and target:
            url = urljoin(url, target)
            if urlsplit(url).hostname != first.hostname:
                return "Probe terminated redirects, Response body: " + answer.body.decode(errors="replace")
        elif 200 <= answer.status < 400:
            return ""
        else:
            raise Failed(f"HTTP probe failed with statuscode: {answer.status}")
    raise Failed(f'Get "{url}": stopped after {REDIRECTS} redirects')


async def _get(url: str, headers: Sequence[tuple[str, str]]) -> Answer:
    """Raises Failed."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {path} HTTP/1.1"]
    if not any(name.lower() == "host" for name, _ in headers):
        lines.append(f"Host: {parts.netloc}")
    lines += [f"{name}: {value}" for name, value in headers]
    try:
        reader, writer = await _connect(host, port, _insecure() if secure else None)
    except Failed as error:
        raise Failed(f'Get "{url}": {error}') from error
    try:
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        return await _read(reader)
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        why = "EOF" if isinstance(error, asyncio.IncompleteReadError) else str(error)
        raise Failed(f'Get "{url}": {why}') from error
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Answer:
    """Raises IncompleteReadError, ValueError when it is not HTTP, OSError."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    version, _, rest = head[0].partition(" ")
    if not version.startswith("HTTP/"):
        raise ValueError(f"malformed HTTP response {head[0]!r}")
    headers = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = b""
    size = headers.get("content-length", "")
    if size.isdigit():  # so that a server is not cut off while it still sends
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            body = await reader.readexactly(min(int(size), BODY_LIMIT))
    return Answer(int(rest[:3]), headers, body)


async def _connect(
    host: str, port: int, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises Failed; a TimeoutError passes through when it is the caller's."""
    try:
        return await asyncio.open_connection(host, port, ssl=context)
    except TimeoutError:
        raise
    except ssl.SSLError as error:
        plain = error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
        why = (
            "http: server gave HTTP response to HTTPS client" if plain else f"tls: {error.reason or error}".lower()
        )
        raise Failed(why) from error
    except OSError as error:
        text = error.strerror or str(error)
        if isinstance(error, ConnectionRefusedError):
            text = "connection refused"
        raise Failed(f"dial tcp {_joined(host, port)}: connect: {text.lower()}") from error


@lru_cache(maxsize=1)
def _insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
