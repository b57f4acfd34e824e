"""From a chosen node to a bound pod: reserve at once, then PreBind and the binding itself in the background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from minikube.api.core_v1 import Binding, ObjectReference, Pod
from minikube.api.meta import ObjectMeta
from minikube.errors import ApiError, NotFound
from minikube.scheduler.framework import Cycle, Handle, Reject


class BindError(Exception):
    """A step failed; the message is what FailedScheduling says."""


class Gone(Exception):
    """The pod was deleted meanwhile."""


def reserve(plugins: Sequence[Any], cycle: Cycle, pod: Pod, node: str) -> Reject | None:
    """Ask every Reserve plugin; when one refuses nothing stays reserved."""
    for plugin in plugins:
        if hasattr(plugin, "reserve"):
            refused: Reject | None = plugin.reserve(cycle, pod, node)
            if refused is not None:
                unreserve(plugins, cycle, pod, node)
                return msgspec.structs.replace(refused, plugin=plugin.name)
    return None


def unreserve(plugins: Sequence[Any], cycle: Cycle, pod: Pod, node: str) -> None:
    for plugin in reversed(plugins):
        if hasattr(plugin, "unreserve"):
            plugin.unreserve(cycle, pod, node)


async def bind(handle: Handle, plugins: Sequence[Any], cycle: Cycle, pod: Pod, node: str) -> None:
    """Raises BindError or Gone; what is reserved is then given back, also on cancellation."""
    done = False
    try:
        await _pre_bind(handle, plugins, cycle, pod, node)
        await _bind(handle, pod, node)
        done = True
    finally:
        if not done:
            unreserve(plugins, cycle, pod, node)


async def _pre_bind(handle: Handle, plugins: Sequence[Any], cycle: Cycle, pod: Pod, node: str) -> None:
    for plugin in plugins:
        if hasattr(plugin, "pre_bind"):
            try:
                await plugin.pre_bind(handle, cycle, pod, node)
            except (TimeoutError, ApiError) as error:
                raise BindError(f'running PreBind plugin "{plugin.name}": {_said(error)}') from error


async def _bind(handle: Handle, pod: Pod, node: str) -> None:
    meta = ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace, uid=pod.metadata.uid)
    binding = Binding(metadata=meta, target=ObjectReference(kind="Node", name=node))
    try:
        await handle.client.create_subresource(Pod, meta.name, meta.namespace, "binding", binding)
    except NotFound as error:
        raise Gone from error
    except ApiError as error:
        raise BindError(f"binding rejected: {error.message}") from error


def _said(error: Exception) -> str:
    return error.message if isinstance(error, ApiError) else "timed out"
