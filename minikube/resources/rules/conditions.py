"""What a metav1.Condition may say (apimachinery pkg/apis/meta/v1/validation ValidateConditions)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from minikube.api.meta_v1 import Condition
from minikube.errors import FieldError
from minikube.resources.rules.invalid import at, duplicate, invalid, not_supported, required, too_long
from minikube.resources.rules.labelling import label_name

_STATES = ("False", "True", "Unknown")
_LONGEST_REASON, _LONGEST_MESSAGE = 1024, 32 * 1024
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_WRONG_REASON = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
    f"'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{_REASON}')"
)


def conditions(given: Sequence[Condition], path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, one in enumerate(given):
        where = at(path, index)
        if one.type in seen:
            yield duplicate(f"{where}.type", one.type)
        seen.add(one.type)
        yield from _condition(one, where)


def _condition(one: Condition, path: str) -> Iterator[FieldError]:
    yield from label_name(one.type, f"{path}.type")
    if one.status not in _STATES:
        yield not_supported(f"{path}.status", one.status, _STATES)
    if one.observed_generation is not None and one.observed_generation < 0:
        why = "must be greater than or equal to zero"
        yield invalid(f"{path}.observedGeneration", one.observed_generation, why)
    if one.last_transition_time is None:
        yield required(f"{path}.lastTransitionTime", "must be set")
    if not one.reason:
        yield required(f"{path}.reason", "must be set")
    elif not re.fullmatch(_REASON, one.reason):
        yield invalid(f"{path}.reason", one.reason, _WRONG_REASON)
    if len(one.reason.encode()) > _LONGEST_REASON:
        yield too_long(f"{path}.reason", _LONGEST_REASON)
    if len(one.message.encode()) > _LONGEST_MESSAGE:
        yield too_long(f"{path}.message", _LONGEST_MESSAGE)
