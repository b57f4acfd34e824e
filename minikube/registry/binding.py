"""pods/binding: gives a pod its node, once. Rules: registry/core/pod/storage.BindingREST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minikube.api import time
from minikube.client.base import PatchType
from minikube.errors import BadRequest, Conflict, FieldError, Invalid
from minikube.registry.base import Request

if TYPE_CHECKING:
    from minikube.registry.registry import StoreRegistry


async def bind(
    registry: StoreRegistry, namespace: str, name: str, binding: dict[str, Any], request: Request
) -> None:
    """Raises Invalid, NotFound, or Conflict when the pod has a node or is going away."""
    target = (binding.get("target") or {}).get("name", "")
    if not target:
        cause = FieldError("target.name", "FieldValueRequired", "Required value")
        raise Invalid.of("Binding", "", name, [cause])
    kind = registry.find("", "v1", "pods")
    if kind is None:
        raise BadRequest("pods are not served")
    pod = (await registry.get(kind, namespace, name)).tree(kind)
    uid = (binding.get("metadata") or {}).get("uid")
    if uid and uid != pod["metadata"]["uid"]:
        raise Conflict.of("pods", "", name, f"Precondition failed: UID in precondition: {uid}")
    if pod["metadata"].get("deletionTimestamp"):
        raise Conflict.of("pods/binding", "", name, f"pod {name} is being deleted, cannot be assigned to a host")
    assigned = (pod.get("spec") or {}).get("nodeName")
    if assigned:
        raise Conflict.of("pods/binding", "", name, f'pod {name} is already assigned to node "{assigned}"')
    now = time.text(registry.clock.now())
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
    conditions = [c for c in pod.get("status", {}).get("conditions") or () if c["type"] != "PodScheduled"]
    patch = {
        "metadata": {"uid": pod["metadata"]["uid"], "resourceVersion": pod["metadata"]["resourceVersion"]},
        "spec": {"nodeName": target},
        "status": {"conditions": [*conditions, scheduled]},
    }
    await registry.patch(kind, namespace, name, patch, PatchType.MERGE, request, subresource="binding")
