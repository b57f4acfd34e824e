"""A request as the version of its kind shows it whose rule covers it.

Rules: k8s.io/apiserver pkg/admission (conversion.go: NewVersionedAttributes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from minikube.admission.base import Attributes
from minikube.api.meta import Resource
from minikube.errors import ApiError, InternalError


class Versions(Protocol):
    def others(self, resource: Resource) -> Iterable[Resource]:
        """The other versions that a resource is served in."""
        ...

    async def convert(self, tree: Mapping[str, Any], own: Resource, wanted: Resource) -> dict[str, Any]:
        """An object of `own` as an object of `wanted`. Raises ApiError."""
        ...


async def shown(request: Attributes, resource: Resource, versions: Versions) -> Attributes:
    """The request with both states of the object in the version of `resource`; `request.resource` stays what was
    asked for, warnings and annotations are shared. Raises InternalError, whatever failure policies say."""
    own = request.resource
    return msgspec.structs.replace(
        request,
        object=await in_version(request.object, own, resource, versions),
        old=await in_version(request.old, own, resource, versions),
    )


async def in_version(
    tree: Mapping[str, Any] | None, own: Resource, wanted: Resource, versions: Versions
) -> dict[str, Any] | None:
    """What is of another kind (a Scale) stays as it is. Raises InternalError."""
    if tree is None:
        return None
    if own.version == wanted.version or tree.get("apiVersion") != own.api_version:
        return dict(tree)
    try:
        return await versions.convert(tree, own, wanted)
    except ApiError as error:
        raise InternalError(f"Internal error occurred: {error}") from error
