"""A device plugin, such as vendors write them: a process that registers with the kubelet and offers devices.

`python -m tests.device_plugin DIRECTORY RESOURCE STATE` reads what it offers from the JSON file STATE, again and
again: {"devices": {"id": "Healthy"}}, and what else `_read` is asked for. Each device is the host's /dev/null under
another name. It registers again when kubelet.sock is made anew, and appends what it is asked to STATE.calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from minikube.node.devices.messages import plugins as api


class VendorPlugin:
    def __init__(self, directory: Path, resource: str, state: Path) -> None:
        self.directory, self.resource, self._state = directory, resource, state
        self._endpoint = f"{resource.replace('/', '_')}.sock"

    def _read(self) -> dict[str, Any]:
        with contextlib.suppress(ValueError):
            found: dict[str, Any] = json.loads(self._state.read_text())
            return found
        return {"devices": {}}

    def _note(self, call: str, ids: list[str]) -> None:
        with open(f"{self._state}.calls", "a") as out:
            out.write(f"{call} {' '.join(sorted(ids))}\n")

    async def options(self, request: Any, context: Any) -> Any:
        state = self._read()
        return api.DevicePluginOptions(
            pre_start_required=bool(state.get("before_start")),
            get_preferred_allocation_available="preferred" in state,
        )

    async def watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        told = None
        while True:
            devices = self._read()["devices"]
            if devices != told:
                told = devices
                yield api.ListAndWatchResponse(
                    devices=[
                        api.Device(ID=id, health=health, topology=api.TopologyInfo(nodes=[api.NUMANode(ID=0)]))
                        for id, health in devices.items()
                    ]
                )
            await asyncio.sleep(0.05)

    async def preferred(self, request: Any, context: Any) -> Any:
        liked = self._read()["preferred"]
        return api.PreferredAllocationResponse(
            container_responses=[
                api.ContainerPreferredAllocationResponse(
                    deviceIDs=[id for id in liked if id in each.available_deviceIDs][: each.allocation_size]
                )
                for each in request.container_requests
            ]
        )

    async def allocate(self, request: Any, context: Any) -> Any:
        if why := self._read().get("fail"):
            await context.abort(grpc.StatusCode.INTERNAL, why)
        answers = []
        for each in request.container_requests:
            ids = sorted(each.devices_ids)
            self._note("allocate", ids)
            answers.append(
                api.ContainerAllocateResponse(
                    envs={"VENDOR_DEVICES": ",".join(ids)},
                    mounts=[api.Mount(container_path="/vendor", host_path=str(self._state.parent), read_only=True)],
                    devices=[
                        api.DeviceSpec(container_path=f"/dev/{id}", host_path="/dev/null", permissions="rw")
                        for id in ids
                    ],
                    annotations={"vendor.example/devices": ",".join(ids)},
                )
            )
        return api.AllocateResponse(container_responses=answers)

    async def before_start(self, request: Any, context: Any) -> Any:
        self._note("before-start", list(request.devices_ids))
        return api.PreStartContainerResponse()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        unary = {
            "GetDevicePluginOptions": (self.options, api.Empty),
            "GetPreferredAllocation": (self.preferred, api.PreferredAllocationRequest),
            "Allocate": (self.allocate, api.AllocateRequest),
            "PreStartContainer": (self.before_start, api.PreStartContainerRequest),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                answer,
                request_deserializer=asked.FromString,
                response_serializer=lambda one: one.SerializeToString(),
            )
            for name, (answer, asked) in unary.items()
        }
        handlers["ListAndWatch"] = grpc.unary_stream_rpc_method_handler(
            self.watch,
            request_deserializer=api.Empty.FromString,
            response_serializer=lambda one: one.SerializeToString(),
        )
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", handlers),))
        server.add_insecure_port(f"unix:{self.directory / self._endpoint}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(0)

    async def register(self, version: str = "v1beta1") -> None:
        """Raises grpc.aio.AioRpcError."""
        async with grpc.aio.insecure_channel(f"unix:{self.directory / 'kubelet.sock'}") as channel:
            method = channel.unary_unary(
                "/v1beta1.Registration/Register",
                request_serializer=api.RegisterRequest.SerializeToString,
                response_deserializer=api.Empty.FromString,
            )
            request = api.RegisterRequest(version=version, endpoint=self._endpoint, resource_name=self.resource)
            await method(request, timeout=20)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(FileNotFoundError, grpc.aio.AioRpcError):
                made = self._made()
                async with self.serving():
                    await self.register()
                    while self._made() == made:  # noqa: ASYNC110 (a file)
                        await asyncio.sleep(0.1)
            await asyncio.sleep(0.2)

    def _made(self) -> tuple[int, int]:
        """Which kubelet.sock there is. Raises FileNotFoundError."""
        found = os.stat(self.directory / "kubelet.sock")
        return found.st_ino, found.st_mtime_ns


if __name__ == "__main__":
    asyncio.run(VendorPlugin(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])).run())
