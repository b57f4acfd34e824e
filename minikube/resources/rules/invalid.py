"""Field errors in the words of k8s.io/apimachinery/pkg/util/validation/field, and how their paths are built."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from minikube.api.time import text
from minikube.errors import FieldError

IMMUTABLE = "field is immutable"


def shown(value: Any) -> str:
    """A value as it appears inside an error."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, datetime):
        return quoted(text(value))
    if value is None or isinstance(value, int | float):
        return "null" if value is None else str(value)
    return msgspec.json.encode(value, order="sorted").decode()


def quoted(word: str) -> str:
    """Go's %q, near enough: JSON's escapes."""
    return msgspec.json.encode(word).decode()


def key(path: str, name: str) -> str:
    """A map entry: labels[app]."""
    return f"{path}[{name}]"


def at(path: str, index: int) -> str:
    """A list entry: containers[0]."""
    return f"{path}[{index}]"


def required(path: str, why: str = "") -> FieldError:
    return FieldError(path, "FieldValueRequired", f"Required value: {why}" if why else "Required value")


def invalid(path: str, value: Any, why: str) -> FieldError:
    return FieldError(path, "FieldValueInvalid", f"Invalid value: {shown(value)}: {why}")


def not_supported(path: str, value: Any, allowed: Iterable[str]) -> FieldError:
    choice = ", ".join(quoted(one) for one in sorted(allowed))
    detail = f"Unsupported value: {shown(value)}"
    return FieldError(path, "FieldValueNotSupported", f"{detail}: supported values: {choice}" if choice else detail)


def one_of(path: str, value: str, allowed: Iterable[str]) -> Iterable[FieldError]:
    """Required, and only these values."""
    if not value:
        return [required(path)]
    return [] if value in (choices := tuple(allowed)) else [not_supported(path, value, choices)]


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def forbidden(path: str, why: str) -> FieldError:
    return FieldError(path, "FieldValueForbidden", f"Forbidden: {why}")


def not_found(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueNotFound", f"Not found: {shown(value)}")


def too_long(path: str, limit: int) -> FieldError:
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def too_many(path: str, count: int, limit: int) -> FieldError:
    noun = "item" if limit == 1 else "items"
    return FieldError(path, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} {noun}")


def immutable(path: str, new: Any, old: Any) -> Iterable[FieldError]:
    """An error when a field that may not change has changed."""
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def not_negative(path: str, value: int | None) -> Iterable[FieldError]:
    if value is not None and value < 0:
        return [invalid(path, value, "must be greater than or equal to 0")]
    return []
