"""The channel to containerd: how it is opened, and calls of containerd's own API, for what CRI has no words for.

What grpc raises becomes a RuntimeFault here, once: for these calls, and in cri.py for those of CRI.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import grpc
import grpc.aio

from minikube.node.runtime.base import NotFound, RuntimeFault, Unavailable

_OPTIONS = (
    ("grpc.max_receive_message_length", 1 << 26),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 10_000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
"""containerd is on this machine and starts in a moment: ask again soon. What gRPC calls the least backoff is how
long one attempt may take: a containerd that is slow to greet on a busy machine is there all the same."""
_NAMESPACE = ("containerd-namespace", "k8s.io")
"""CRI's."""


class AlreadyExists(RuntimeFault):
    """What was to be made is there."""


def opened(endpoint: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(endpoint, options=_OPTIONS)


def fault_of(error: grpc.aio.AioRpcError, kind: type[RuntimeFault] = RuntimeFault) -> RuntimeFault:
    """`kind`: what a failure of this call is called, if something more special is known of it."""
    message = error.details() or str(error.code())
    silent = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    if silent or message == "server is not initialized yet":  # containerd still takes in what it finds
        return Unavailable(message)
    if kind is RuntimeFault:
        kinds = {grpc.StatusCode.NOT_FOUND: NotFound, grpc.StatusCode.ALREADY_EXISTS: AlreadyExists}
        kind = kinds.get(error.code(), RuntimeFault)
    return kind(message)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise fault_of(error) from error


class Native:
    """containerd's API, in the namespace of CRI; bodies as `wire` makes them. A method is `service`, `Name/Method`
    of version 1. Raises Unavailable, NotFound, AlreadyExists, RuntimeFault."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def call(
        self, service: str, method: str, request: bytes, *, lease: str = "", timeout: float | None = 60
    ) -> bytes:
        """`lease` keeps what the call makes from containerd's own garbage collection; `timeout` in seconds."""
        with _translated():
            call = self._channel.unary_unary(_path(service, method))
            answer: bytes = await call(request, metadata=_metadata(lease), timeout=timeout)
        return answer

    async def stream(self, service: str, method: str, request: bytes) -> AsyncIterator[bytes]:
        """The answers as they come."""
        with _translated():
            async for answer in self._channel.unary_stream(_path(service, method))(request, metadata=_metadata("")):
                yield answer

    async def send(self, service: str, method: str, requests: AsyncIterator[bytes], *, lease: str) -> None:
        """All of them, one after the other."""
        with _translated():
            call = self._channel.stream_stream(_path(service, method))
            async for _ in call(requests, metadata=_metadata(lease)):
                pass


def _path(service: str, method: str) -> str:
    return f"/containerd.services.{service}.v1.{method}"


def _metadata(lease: str) -> tuple[tuple[str, str], ...]:
    return (_NAMESPACE, ("containerd-lease", lease)) if lease else (_NAMESPACE,)
