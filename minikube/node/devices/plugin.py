"""One device plugin, as the node talks to it: grpc errors become PluginFailed here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from minikube.node.devices import messages
from minikube.node.devices.base import Device, Gear, Options, Pool

FIRST = "GetDevicePluginOptions"
"""A plugin may register a moment before it listens."""
CONNECT, ALLOCATE, PRE_START = 10.0, 60.0, 30.0
"""Seconds."""
_SERVICE = "/v1beta1.DevicePlugin/"
_NAMES = {"CANCELLED": "Canceled", "OK": "OK"}

api = messages.plugins


class PluginFailed(Exception):
    """The message is that of a Go client."""


class Plugin:
    """Make it inside a running loop; `close` when done."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.options = Options()
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=(("grpc.enable_http_proxy", 0),))

    async def close(self) -> None:
        await self._channel.close()

    async def connect(self) -> None:
        """Raises PluginFailed."""
        found = await self._call(FIRST, api.Empty(), api.DevicePluginOptions, CONNECT)
        self.options = messages.options(found)

    async def devices(self) -> AsyncIterator[Sequence[Device]]:
        """All of them, each time that one changes; ends when the plugin does. Raises PluginFailed."""
        method = self._channel.unary_stream(
            _SERVICE + "ListAndWatch",
            request_serializer=api.Empty.SerializeToString,
            response_deserializer=api.ListAndWatchResponse.FromString,
        )
        try:
            async for listed in method(api.Empty()):
                yield messages.devices(listed)
        except grpc.aio.AioRpcError as error:
            raise _failed(error) from error

    async def preferred(self, given: Pool) -> Sequence[str]:
        """Nothing: it does not care. Raises PluginFailed."""
        if not self.options.preferences:
            return ()
        one = api.ContainerPreferredAllocationRequest(
            available_deviceIDs=[*given.taken, *given.free],
            must_include_deviceIDs=given.taken,
            allocation_size=len(given.taken) + given.count,
        )
        request = api.PreferredAllocationRequest(container_requests=[one])
        try:
            found = await self._call("GetPreferredAllocation", request, api.PreferredAllocationResponse, ALLOCATE)
        except PluginFailed as error:
            raise PluginFailed(f"device plugin GetPreferredAllocation rpc failed with err: {error}") from error
        return [id for answer in found.container_responses[:1] for id in answer.deviceIDs]

    async def allocate(self, ids: Sequence[str]) -> Gear:
        """Raises PluginFailed."""
        request = api.AllocateRequest(container_requests=[api.ContainerAllocateRequest(devices_ids=ids)])
        found = await self._call("Allocate", request, api.AllocateResponse, ALLOCATE)
        if not found.container_responses:
            raise PluginFailed(f"no containers return in allocation response {found}")
        return messages.gear(found.container_responses[0])

    async def before_start(self, ids: Sequence[str]) -> None:
        """Raises PluginFailed."""
        if self.options.before_start:
            request = api.PreStartContainerRequest(devices_ids=ids)
            try:
                await self._call("PreStartContainer", request, api.PreStartContainerResponse, PRE_START)
            except PluginFailed as error:
                raise PluginFailed(f"device plugin PreStartContainer rpc failed with err: {error}") from error

    async def _call(self, method: str, request: Any, answer: Any, timeout: float) -> Any:
        call = self._channel.unary_unary(
            _SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        waiting: Awaitable[Any] = call(request, timeout=timeout, wait_for_ready=method == FIRST)
        try:
            return await waiting
        except grpc.aio.AioRpcError as error:
            raise _failed(error) from error


def _failed(error: grpc.aio.AioRpcError) -> PluginFailed:
    name = error.code().name
    code = _NAMES.get(name) or "".join(part.capitalize() for part in name.split("_"))
    return PluginFailed(f"rpc error: code = {code} desc = {error.details()}")
