"""What x-kubernetes-validations in the schema of a custom resource may say (apiextensions validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from minikube.api.apiextensions_v1 import JSONSchemaProps, ValidationRule
from minikube.errors import FieldError
from minikube.resources.rules.expressions import Stored
from minikube.resources.rules.invalid import at, invalid, not_supported, required
from minikube.schema.cel import CelError, compile
from minikube.schema.rules import BOTH

_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")


def validation_rules(schema: JSONSchemaProps, path: str, stored: Stored) -> Iterator[FieldError]:
    """Of this part of a schema, not of what is below it."""
    for index, rule in enumerate(schema.x_kubernetes_validations):
        where = at(f"{path}.x-kubernetes-validations", index)
        if not rule.rule.strip():
            yield required(f"{where}.rule", "rule is not specified")
        else:
            yield from _expression(
                rule.rule, f"{where}.rule", "bool", "cel expression must evaluate to a bool", stored
            )
        yield from _message(rule, where, stored)
        if rule.reason and rule.reason not in _REASONS:
            yield not_supported(f"{where}.reason", rule.reason, _REASONS)
        if rule.field_path and not _names_a_field(rule.field_path, schema):
            why = "fieldPath must be a valid path: does not refer to a valid field"
            yield invalid(f"{where}.fieldPath", rule.field_path, why)


def stored_in(schema: JSONSchemaProps) -> Iterator[str]:
    """The expressions of a schema and of all below it."""
    for rule in schema.x_kubernetes_validations:
        yield from (rule.rule, rule.message_expression)
    below = (*schema.properties.values(), part(schema.items), part(schema.additional_properties))
    for child in below:
        if child is not None:
            yield from stored_in(child)


def part(value: Any) -> JSONSchemaProps | None:
    """`items` or `additionalProperties` as a schema; None where they are absent or say yes or no."""
    return msgspec.convert(value, JSONSchemaProps) if isinstance(value, Mapping) else None


def _message(rule: ValidationRule, path: str, stored: Stored) -> Iterator[FieldError]:
    if rule.message and not rule.message.strip():
        yield invalid(f"{path}.message", rule.message, "message must be non-empty if specified")
    elif "\n" in rule.message.strip():
        yield invalid(f"{path}.message", rule.message, "message must not contain line breaks")
    if rule.message_expression:
        where = f"{path}.messageExpression"
        yield from _expression(
            rule.message_expression, where, "string", "messageExpression must evaluate to a string", stored
        )


def _expression(text: str, path: str, type: str, otherwise: str, stored: Stored) -> Iterator[FieldError]:
    if text in stored:
        return
    try:
        compiled = compile(text, BOTH)
    except CelError as error:
        yield invalid(path, text, f"compilation failed: {error}")
        return
    if not compiled.may_be(type):
        yield invalid(path, text, otherwise)


def _names_a_field(text: str, schema: JSONSchemaProps) -> bool:
    """Whether a path like `.a.b['c-d']` leads to a field of the schema."""
    position, present = 0, schema
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            return False
        position = step.end()
        found = present.properties.get(step[1] or step[2])
        if found is None:
            return False
        present = found
    return True
