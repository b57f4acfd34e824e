"""Checks of labels, label selectors and references that many kinds share (apimachinery metav1 validation)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from minikube.api.core_v1 import NodeSelectorRequirement
from minikube.api.meta import ObjectMeta
from minikube.api.meta_v1 import LabelSelector, LabelSelectorRequirement
from minikube.api.names import (
    label_value_problems,
    percent_problems,
    port_name_problems,
    port_number_problems,
    qualified_name_problems,
)
from minikube.errors import FieldError
from minikube.resources.rules.invalid import at, forbidden, invalid, required

Requirement = LabelSelectorRequirement | NodeSelectorRequirement

IN_OR_NOT = "must be specified when `operator` is 'In' or 'NotIn'"
EXISTS_OR_NOT = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"


def label_name(key: str, path: str) -> Iterator[FieldError]:
    for why in qualified_name_problems(key):
        yield invalid(path, key, why)


def labels(pairs: Mapping[str, str], path: str) -> Iterator[FieldError]:
    for key, value in pairs.items():
        yield from label_name(key, path)
        for why in label_value_problems(value):
            yield invalid(path, value, why)


def annotation_names(pairs: Mapping[str, str], path: str) -> Iterator[FieldError]:
    for key in pairs:
        yield from label_name(key.lower(), path)


def template_metadata(metadata: ObjectMeta, path: str) -> Iterator[FieldError]:
    """What a pod template's metadata may say."""
    yield from labels(metadata.labels, f"{path}.labels")
    yield from annotation_names(metadata.annotations, f"{path}.annotations")


def label_selector(selector: LabelSelector | None, path: str) -> Iterator[FieldError]:
    if selector is None:
        return
    yield from labels(selector.match_labels, f"{path}.matchLabels")
    for index, one in enumerate(selector.match_expressions):
        place = at(f"{path}.matchExpressions", index)
        yield from operator_of_a_set(one, place)
        yield from key_and_values(one, place)


def operator_of_a_set(one: Requirement, path: str) -> Iterator[FieldError]:
    """One of the four that every selector has, with values or without, as it takes them."""
    if one.operator in ("In", "NotIn"):
        if not one.values:
            yield required(f"{path}.values", IN_OR_NOT)
    elif one.operator in ("Exists", "DoesNotExist"):
        if one.values:
            yield forbidden(f"{path}.values", EXISTS_OR_NOT)
    else:
        yield invalid(f"{path}.operator", one.operator, "not a valid selector operator")


def key_and_values(one: Requirement, path: str) -> Iterator[FieldError]:
    """Those of a label."""
    yield from label_name(one.key, f"{path}.key")
    for index, value in enumerate(one.values):
        for why in label_value_problems(value):
            yield invalid(at(f"{path}.values", index), value, why)


def is_empty(selector: LabelSelector | None) -> bool:
    return selector is None or not (selector.match_labels or selector.match_expressions)


def port_or_name(port: int | str | None, path: str) -> Iterator[FieldError]:
    """A port by number or by the name that a container gives it."""
    if isinstance(port, str):
        for why in port_name_problems(port):
            yield invalid(path, port, why)
    else:
        for why in port_number_problems(port or 0):
            yield invalid(path, port or 0, why)


def count_or_percent(value: int | str | None, path: str) -> Iterator[FieldError]:
    """A count or a percentage, not negative (ValidatePositiveIntOrPercent)."""
    if isinstance(value, str):
        for _ in percent_problems(value):
            yield invalid(path, value, "must be an integer or percentage (e.g '5%%')")
    elif value is not None and value < 0:
        yield invalid(path, value, "must be greater than or equal to 0")


def at_most_all(value: int | str | None, path: str) -> Iterator[FieldError]:
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit() and int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def is_zero(value: int | str | None) -> bool:
    """A count or percentage of nothing."""
    if isinstance(value, str):
        return value.removesuffix("%").strip("0") == "" and value.endswith("%")
    return not value


def no_back_steps(path_value: str, path: str) -> Iterator[FieldError]:
    if ".." in path_value.split("/"):
        yield invalid(path, path_value, "must not contain '..'")


def relative_path(path_value: str, path: str) -> Iterator[FieldError]:
    """A path below a volume (validateLocalDescendingPath)."""
    if posixpath.isabs(path_value):
        yield invalid(path, path_value, "must be a relative path")
    yield from no_back_steps(path_value, path)


def file_below(path_value: str, path: str) -> Iterator[FieldError]:
    """A file that is written into a volume (validateLocalNonReservedPath)."""
    yield from relative_path(path_value, path)
    if path_value.startswith("..") and not path_value.startswith("../"):
        yield invalid(path, path_value, "must not start with '..'")
