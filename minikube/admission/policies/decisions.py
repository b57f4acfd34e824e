"""What one policy says of one request: a decision for each validation that does not hold. Pure.

Rules and words: k8s.io/apiserver pkg/admission/plugin/policy/validating (validator).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from minikube.admission.expressions import all_met, evaluate
from minikube.api.admissionregistration_v1 import ValidatingAdmissionPolicySpec, Validation, Variable
from minikube.schema.cel import CelError

_LONGEST_MESSAGE = 5 * 1024
_LONGEST_ANNOTATION = 10 * 1024


class Denial(msgspec.Struct, frozen=True):
    """`index` is the validation's; `reason` a metav1.StatusReason; `always`: whatever the binding's actions are."""

    index: int
    message: str
    reason: str = "Invalid"
    always: bool = False


class Outcome(msgspec.Struct, frozen=True):
    denials: Sequence[Denial] = ()
    annotations: Mapping[str, str] = {}
    """For the audit log, by the keys that the policy names."""


def decide(spec: ValidatingAdmissionPolicySpec, outer: Mapping[str, Any], namespace: Any) -> Outcome:
    """`outer`: object, oldObject, request and perhaps params; `namespace`: its JSON tree, None if there is none."""
    lenient = spec.failure_policy == "Ignore"
    try:
        if not all_met(spec.match_conditions, outer):
            return Outcome()
    except CelError as error:
        return Outcome() if lenient else Outcome((Denial(0, str(error)),))
    data = {**outer, "namespaceObject": namespace, "variables": {}}
    failed = fill_variables(spec.variables, data)
    denials = []
    for index, validation in enumerate(spec.validations):
        try:
            if evaluate(validation.expression, data) is not True:
                denials.append(Denial(index, _message(validation, data), validation.reason or "Invalid"))
        except CelError as error:
            if not lenient:
                denials.append(Denial(index, _explained(str(error), failed)))
    annotations, problems = _annotations(spec, data)
    if not lenient:
        denials += [Denial(0, problem, always=True) for problem in problems]
    return Outcome(denials, annotations)


def fill_variables(variables: Sequence[Variable], data: dict[str, Any]) -> dict[str, str]:
    """Each sees the ones before it. Answers why some have no value: that matters only to what reads them."""
    failed: dict[str, str] = {}
    for variable in variables:
        try:
            data["variables"][variable.name] = evaluate(variable.expression, data)
        except CelError as error:
            failed[variable.name] = _explained(str(error), failed)
    return failed


def _explained(error: str, failed: Mapping[str, str]) -> str:
    name = error.rpartition("no such key: ")[2]
    if name not in failed:
        return error
    return error.replace(f"no such key: {name}", f'composited variable "{name}" fails to evaluate: {failed[name]}')


def _message(validation: Validation, data: Mapping[str, Any]) -> str:
    """The message expression's if it gives a decent line, else the fixed one, else the expression itself.
    Message expressions cannot ask `authorizer`."""
    if validation.message_expression:
        try:
            speaking = {name: value for name, value in data.items() if name != "authorizer"}
            said = evaluate(validation.message_expression, speaking)
        except CelError:
            said = None
        if isinstance(said, str) and (line := said.strip()) and "\n" not in line and len(line) <= _LONGEST_MESSAGE:
            return line
    return validation.message.strip() or f"failed expression: {validation.expression.strip()}"


def _annotations(spec: ValidatingAdmissionPolicySpec, data: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """What to note, and what went wrong."""
    noted: dict[str, str] = {}
    problems = []
    for each in spec.audit_annotations:
        try:
            value = evaluate(each.value_expression, data)
        except CelError as error:
            problems.append(str(error))
            continue
        if isinstance(value, str) and value.strip():
            noted[each.key] = value.strip()[:_LONGEST_ANNOTATION]
        elif value is not None and not isinstance(value, str):
            problems.append(
                f"valueExpression '{each.value_expression}' resulted in unsupported return type: "
                f"{type(value).__name__}. Return type must be either string or null."
            )
    return noted, problems
