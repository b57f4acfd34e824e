"""Shorthand for declaring kinds and for the cells that many of their tables share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from minikube.api import core_v1, meta_v1
from minikube.api.meta import Object
from minikube.api.selectors import selector_text
from minikube.resources.base import Column, Kind, age

_PACKAGES = {
    "": "io.k8s.api.core",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
}
REVIEW = ("create",)
NONE, UNSET, UNKNOWN = "<none>", "<unset>", "<unknown>"


def declare(kind: type[Object], **exceptions: Any) -> Kind:
    """The Kind of a generated type: resource and definition follow from it, the rest as given."""
    resource = kind.resource
    package = _PACKAGES.get(resource.group) or f"io.k8s.api.{resource.group.partition('.')[0]}"
    return Kind(
        resource=resource, type=kind, definition=f"{package}.{resource.version}.{resource.kind}", **exceptions
    )


def columns(*headings: str) -> tuple[Column, ...]:
    """Columns from `Name`, `Desired:integer`, `+Images` (wide only)."""
    made = []
    for heading in headings:
        name, _, type = heading.lstrip("+").partition(":")
        made.append(
            Column(
                name,
                type=type or "string",
                format="name" if name == "Name" else "",
                priority=1 if heading.startswith("+") else 0,
            )
        )
    return tuple(made)


def since(obj: Object, now: datetime) -> str:
    return age(obj.metadata.creation_timestamp, now)


def number(value: int | None) -> int:
    return value or 0


def joined(values: Iterable[str], empty: str = NONE, glue: str = ",") -> str:
    return glue.join(values) or empty


def labels(pairs: Mapping[str, str]) -> str:
    """a=b,c=d in key order."""
    return joined(f"{key}={value}" for key, value in sorted(pairs.items()))


def selector(of: meta_v1.LabelSelector | None) -> str:
    return selector_text(of)


def containers(template: core_v1.PodTemplateSpec | None) -> str:
    return ",".join(one.name for one in template.spec.containers) if template else ""


def images(template: core_v1.PodTemplateSpec | None) -> str:
    return ",".join(one.image for one in template.spec.containers) if template else ""


def some(values: list[str], shown: int, empty: str = NONE) -> str:
    """The first few, and how many more there are."""
    if not values:
        return empty
    text = ",".join(values[:shown])
    return f"{text} + {len(values) - shown} more..." if len(values) > shown else text


def created_at(obj: Object, now: datetime) -> tuple[Any, ...]:
    at = obj.metadata.creation_timestamp
    return obj.metadata.name, at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


def boolean(value: bool | None) -> str:
    return UNSET if value is None else str(value)


CREATED_AT = columns("Name", "Created At")
REPLICAS = columns(
    "Name",
    "Desired:integer",
    "Current:integer",
    "Ready:integer",
    "Age",
    "+Containers",
    "+Images",
    "+Selector",
)
