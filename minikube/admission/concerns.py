"""What a request is about, said the same way in every plugin."""

from __future__ import annotations

from minikube.admission.base import Attributes


def is_new(request: Attributes, group: str, plural: str) -> bool:
    """An object of this kind is being made."""
    return request.operation == "CREATE" and _is(request, group, plural)


def is_changed(request: Attributes, group: str, plural: str, subresource: str = "") -> bool:
    return request.operation == "UPDATE" and _is(request, group, plural, subresource)


def _is(request: Attributes, group: str, plural: str, subresource: str = "") -> bool:
    resource = request.resource
    about = (resource.group, resource.plural, request.subresource)
    return about == (group, plural, subresource) and request.object is not None
