"""The kubelet's sockets: for device plugins (Registration), and for who asks which pod has which (PodResources).

They lie below /var/lib/kubelet, where plugins look for them; nothing runs for them until somebody calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import stat
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from minikube.api.core_v1 import Pod
from minikube.node.devices import base, messages
from minikube.node.devices.base import BadPlugin
from minikube.node.devices.devices import Devices
from minikube.node.devices.plugin import Plugin, PluginFailed
from minikube.node.host.facts import HostRecord
from minikube.settings import Settings

log = logging.getLogger(__name__)

SOCKET = "kubelet.sock"
STOP = 1.0
"""Seconds for calls that are under way."""

api, resources = messages.plugins, messages.resources


async def serve(devices: Devices, settings: Settings, pods: Callable[[], Iterable[Pod]]) -> None:
    """Until cancelled. `pods` are those that are active on this node. Raises OSError."""
    places = _places(settings)
    if taken := next((each for each in places if answers(each)), None):
        log.warning("another kubelet serves %s: plugins of devices are his", taken)
        await asyncio.Event().wait()
    await asyncio.to_thread(_make_way, settings)
    async with asyncio.TaskGroup() as plugins:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (_registration(devices, plugins), _pod_resources(devices, pods)),
        )
        try:
            for place in places:
                _listen(server, place)
            await server.start()
            await asyncio.Event().wait()  # to cancel wait_for_termination() would break stop()
        finally:
            await server.stop(STOP)
            for place in places:
                place.unlink(missing_ok=True)


def remove_sockets(settings: Settings) -> None:
    """Of an agent that was killed; those of another kubelet stay. Blocks."""
    for place in _places(settings):
        if place.is_socket() and not answers(place):
            place.unlink()


def _places(settings: Settings) -> Sequence[Path]:
    return [settings.device_plugins_dir / SOCKET, settings.pod_resources_dir / SOCKET]


def answers(place: Path) -> bool:
    """Whether somebody listens at a socket. Blocks briefly."""
    with socket.socket(socket.AF_UNIX) as one, contextlib.suppress(OSError):
        one.connect(str(place))
        return True
    return False


def _make_way(settings: Settings) -> None:
    """Sockets of plugins go, by which they notice that they have to register again (CleanupPluginDirectory)."""
    HostRecord(settings).before_start()
    for place in _places(settings):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
    for each in settings.device_plugins_dir.iterdir():
        if stat.S_ISSOCK(each.lstat().st_mode):
            each.unlink(missing_ok=True)


def _listen(server: grpc.aio.Server, place: Path) -> None:
    """Raises OSError."""
    try:
        server.add_insecure_port(f"unix:{place}")
    except RuntimeError as error:
        raise OSError(f"{place}: {error}") from error


def _registration(devices: Devices, plugins: asyncio.TaskGroup) -> grpc.GenericRpcHandler:
    async def register(request: Any, context: Any) -> Any:
        resource = request.resource_name
        try:
            plugin: Plugin = await devices.register(request.version, request.endpoint, resource)
        except (BadPlugin, PluginFailed, OSError) as error:
            log.warning("device plugin of %s: %s", resource, error)
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        plugins.create_task(devices.follow(resource, plugin), name=f"device plugin of {resource}")
        return api.Empty()

    return _service("v1beta1.Registration", {"Register": (register, api.RegisterRequest)})


def _pod_resources(devices: Devices, pods: Callable[[], Iterable[Pod]]) -> grpc.GenericRpcHandler:
    def told(pod: Pod) -> Any:
        return resources.PodResources(
            name=pod.metadata.name,
            namespace=pod.metadata.namespace,
            containers=[
                resources.ContainerResources(
                    name=name, devices=_all(devices.devices(pod.metadata.uid, name).items())
                )
                for name in base.reported(pod)
            ],
        )

    async def list_all(request: Any, context: Any) -> Any:
        return resources.ListPodResourcesResponse(pod_resources=[told(pod) for pod in pods()])

    async def get(request: Any, context: Any) -> Any:
        wanted = (request.pod_name, request.pod_namespace)
        found = next((pod for pod in pods() if (pod.metadata.name, pod.metadata.namespace) == wanted), None)
        if found is None:
            message = f"pod {request.pod_name} in namespace {request.pod_namespace} not found"
            raise await context.abort(grpc.StatusCode.UNKNOWN, message)
        return resources.GetPodResourcesResponse(pod_resources=told(found))

    async def allocatable(request: Any, context: Any) -> Any:
        return resources.AllocatableResourcesResponse(devices=_all(devices.allocatable().items()))

    return _service(
        "v1.PodResourcesLister",
        {
            "List": (list_all, resources.ListPodResourcesRequest),
            "Get": (get, resources.GetPodResourcesRequest),
            "GetAllocatableResources": (allocatable, resources.AllocatableResourcesRequest),
        },
    )


def _all(by_resource: Iterable[tuple[str, Sequence[base.Device]]]) -> list[Any]:
    return [each for name, known in by_resource for each in messages.container_devices(name, known)]


def _service(
    name: str, methods: dict[str, tuple[Callable[[Any, Any], Awaitable[Any]], Any]]
) -> grpc.GenericRpcHandler:
    """`methods`: who answers, and the class of the question."""
    return grpc.method_handlers_generic_handler(
        name,
        {
            method: grpc.unary_unary_rpc_method_handler(
                answer, request_deserializer=asked.FromString, response_serializer=_bytes
            )
            for method, (answer, asked) in methods.items()
        },
    )


def _bytes(message: Any) -> bytes:
    found: bytes = message.SerializeToString()
    return found
