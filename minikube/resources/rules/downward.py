"""What a container may be told of its pod: fields and resource amounts (validateObjectFieldSelector …)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from minikube.api import quantity
from minikube.api.core_v1 import ObjectFieldSelector, ResourceFieldSelector
from minikube.api.names import qualified_name_problems
from minikube.errors import FieldError
from minikube.resources.rules.invalid import invalid, not_supported, required

_COMMON = ("metadata.name", "metadata.namespace", "metadata.uid")
ENV_FIELDS = (
    *_COMMON, "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP",
    "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = (*_COMMON, "metadata.annotations", "metadata.labels")
RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
)  # fmt: skip
_KNOWN = frozenset({
    *ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "spec.hostNetwork", "status.phase",
    "status.nominatedNodeName",
})  # fmt: skip
_SUBSCRIPT = re.compile(r"(.*)\['(.*)'\]\Z", re.DOTALL)


def subscript(path: str) -> tuple[str, str] | None:
    """metadata.labels and app of metadata.labels['app']."""
    found = _SUBSCRIPT.match(path)
    return (found.group(1), found.group(2)) if found else None


def field_ref(ref: ObjectFieldSelector, path: str, *, in_volume: bool = False) -> Iterator[FieldError]:
    if not ref.field_path:
        yield required(f"{path}.fieldPath")
        return
    where = f"{path}.fieldPath"
    if split := subscript(ref.field_path):
        of, name = split
        if of not in ("metadata.annotations", "metadata.labels"):
            yield invalid(path, of, "does not support subscript")
            return
        for why in qualified_name_problems(name.lower() if of == "metadata.annotations" else name):
            yield invalid(path, name, why)
        return
    if ref.field_path not in _KNOWN:
        why = f"error converting fieldPath: field label not supported: {ref.field_path}"
        yield invalid(where, ref.field_path, why)
        return
    allowed = VOLUME_FIELDS if in_volume else ENV_FIELDS
    if ref.field_path not in allowed:
        yield not_supported(where, ref.field_path, allowed)


def resource_ref(ref: ResourceFieldSelector, path: str, *, in_volume: bool = False) -> Iterator[FieldError]:
    if in_volume and not ref.container_name:
        yield required(f"{path}.containerName")
        return
    if not ref.resource:
        yield required(f"{path}.resource")
        return
    huge = ref.resource.startswith(("limits.hugepages-", "requests.hugepages-"))
    if ref.resource not in RESOURCES and not huge:
        yield not_supported(path, ref.resource, RESOURCES)
    yield from _divisor(ref, path)


def _divisor(ref: ResourceFieldSelector, path: str) -> Iterator[FieldError]:
    divisor = ref.divisor
    if divisor is None or not quantity.valid(divisor) or quantity.parse(divisor) == 0:
        return
    allowed: tuple[str, ...] = ("1m", "1")
    if not ref.resource.endswith(".cpu"):
        allowed = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
    if quantity.canonical(divisor) not in allowed:
        what = ref.resource.partition(".")[2]
        shown = "1m and 1" if what == "cpu" else ", ".join(allowed)
        why = f"only divisor's values {shown} are supported with the {what} resource"
        yield invalid(f"{path}.divisor", ref.resource, why)
