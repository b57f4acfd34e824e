"""What expressions about a request see, and match conditions answered.

Rules and words: k8s.io/apiserver pkg/admission/plugin/cel and webhook/matchconditions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minikube.admission.base import Attributes
from minikube.admission.webhooks.review import in_version, question
from minikube.api.admissionregistration_v1 import MatchCondition
from minikube.api.meta import Resource
from minikube.schema.cel import CelError, compile

_NOT_IN_REQUEST = frozenset({"uid", "object", "oldObject"})


def variables_of(request: Attributes, resource: Resource) -> dict[str, Any]:
    """Of `resources.expressions.ADMISSION`; the objects are in the version of the resource that matched."""
    asked = question(request, "", resource)["request"]
    return {
        "object": in_version(request.object, request.resource, resource),
        "oldObject": in_version(request.old, request.resource, resource),
        "request": {name: value for name, value in asked.items() if name not in _NOT_IN_REQUEST},
    }


def evaluate(text: str, data: Mapping[str, Any]) -> Any:
    """Raises CelError, which tells the expression."""
    try:
        return compile(text, tuple(data)).evaluate(data)
    except CelError as error:
        raise CelError(f"expression '{text}' resulted in error: {error}") from error


def all_met(conditions: Sequence[MatchCondition], data: Mapping[str, Any]) -> bool:
    """One that is false decides, whatever happens to the others. Raises CelError: some failed, none was false."""
    failed: list[str] = []
    for condition in conditions:
        try:
            if evaluate(condition.expression, data) is False:
                return False
        except CelError as error:
            failed.append(str(error))
    if failed:
        told = list(dict.fromkeys(failed))
        raise CelError(told[0] if len(told) == 1 else f"[{', '.join(told)}]")
    return True
