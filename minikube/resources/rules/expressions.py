"""Expressions inside objects: that they compile and answer the type asked for, in upstream's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from minikube.api.admissionregistration_v1 import (
    MatchCondition,
    MutatingAdmissionPolicySpec,
    Mutation,
    ValidatingAdmissionPolicySpec,
    Validation,
)
from minikube.api.names import qualified_name_problems
from minikube.errors import FieldError
from minikube.resources.rules.invalid import at, duplicate, invalid, not_supported, required, too_many
from minikube.schema.cel import CelError, compile
from minikube.schema.cel_messages import without_messages
from minikube.schema.rules import KEYWORDS

ADMISSION = ("object", "oldObject", "request", "authorizer")
"""The variables that every expression about a request can name."""
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_LONGEST_ANNOTATION = 5 * 1024
_MOST_CONDITIONS = 64
_IDENTIFIER = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")


PolicySpec = ValidatingAdmissionPolicySpec | MutatingAdmissionPolicySpec


def variables_of_policy(spec: PolicySpec) -> tuple[str, ...]:
    """What the match conditions of a policy can name; its other expressions also know `POLICY`."""
    return (*ADMISSION, "params") if spec.param_kind is not None else ADMISSION


POLICY = ("namespaceObject", "variables")
Stored = frozenset[str]
"""Expressions that the object had before: they need not compile again (an older server may have taken them)."""


def expression(
    text: str,
    path: str,
    variables: tuple[str, ...],
    *types: str,
    stored: Stored = frozenset(),
    messages: bool = False,
) -> Iterator[FieldError]:
    """`types`: what it may answer; none means anything. `messages`: it may make objects (cel_messages)."""
    if not text.strip():
        yield required(path)
        return
    if text in stored:
        return
    try:
        compiled = compile(without_messages(text) if messages else text, variables)
    except CelError as error:
        yield invalid(path, text, f"compilation failed: {error}")
        return
    if types and not compiled.may_be(*types):
        yield invalid(path, text, f"must evaluate to {' or '.join(types)}")


def match_conditions(
    conditions: Sequence[MatchCondition],
    path: str,
    variables: tuple[str, ...] = ADMISSION,
    *,
    stored: Stored = frozenset(),
) -> Iterator[FieldError]:
    if len(conditions) > _MOST_CONDITIONS:
        yield too_many(path, len(conditions), _MOST_CONDITIONS)
    names: set[str] = set()
    for index, condition in enumerate(conditions):
        where = at(path, index)
        yield from expression(condition.expression, f"{where}.expression", variables, "bool", stored=stored)
        if not condition.name:
            yield required(f"{where}.name")
        for why in qualified_name_problems(condition.name) if condition.name else ():
            yield invalid(f"{where}.name", condition.name, why)
        if condition.name in names:
            yield duplicate(f"{where}.name", condition.name)
        names.add(condition.name)


def stored_in(spec: PolicySpec | None) -> Stored:
    if spec is None:
        return frozenset()
    conditions = (each.expression for each in spec.match_conditions)
    variables = (each.expression for each in spec.variables)
    if isinstance(spec, MutatingAdmissionPolicySpec):
        own = [mutation_of(each) for each in spec.mutations]
    else:
        own = [text for each in spec.validations for text in (each.expression, each.message_expression)]
        own += [each.value_expression for each in spec.audit_annotations]
    return frozenset([*own, *conditions, *variables])


def mutation_of(mutation: Mutation) -> str:
    """Its expression, of either type."""
    made = mutation.apply_configuration or mutation.json_patch
    return made.expression if made is not None else ""


def policy_expressions(
    spec: ValidatingAdmissionPolicySpec, before: ValidatingAdmissionPolicySpec | None
) -> Iterator[FieldError]:
    stored, inner = stored_in(before), (*variables_of_policy(spec), *POLICY)
    yield from _conditions_and_variables(spec, stored)
    for index, validation in enumerate(spec.validations):
        yield from _validation(validation, at("spec.validations", index), inner, stored)
    for index, annotation in enumerate(spec.audit_annotations):
        where = f"{at('spec.auditAnnotations', index)}.valueExpression"
        if not annotation.value_expression.strip():
            yield required(where, "valueExpression is not specified")
        elif len(annotation.value_expression.strip()) > _LONGEST_ANNOTATION:
            yield required(where, f"must not exceed {_LONGEST_ANNOTATION} bytes in length")
        else:
            yield from expression(annotation.value_expression, where, inner, "string", "null", stored=stored)


def mutating_expressions(
    spec: MutatingAdmissionPolicySpec, before: MutatingAdmissionPolicySpec | None
) -> Iterator[FieldError]:
    stored, inner = stored_in(before), (*variables_of_policy(spec), *POLICY)
    yield from _conditions_and_variables(spec, stored)
    for index, mutation in enumerate(spec.mutations):
        field = "applyConfiguration" if mutation.patch_type == "ApplyConfiguration" else "jsonPatch"
        where = f"{at('spec.mutations', index)}.{field}.expression"
        yield from expression(mutation_of(mutation), where, inner, stored=stored, messages=True)


def _conditions_and_variables(spec: PolicySpec, stored: Stored) -> Iterator[FieldError]:
    outer = variables_of_policy(spec)
    inner = (*outer, *POLICY)
    yield from match_conditions(spec.match_conditions, "spec.matchConditions", outer, stored=stored)
    names: set[str] = set()
    for index, variable in enumerate(spec.variables):
        where = at("spec.variables", index)
        if not variable.name.strip():
            yield required(f"{where}.name", "name is not specified")
        elif _IDENTIFIER.fullmatch(variable.name) is None or variable.name in KEYWORDS:
            yield invalid(f"{where}.name", variable.name, "name is not a valid CEL identifier")
        if variable.name in names:
            yield duplicate(f"{where}.name", variable.name)
        names.add(variable.name)
        if variable.expression.strip():
            yield from expression(variable.expression, f"{where}.expression", inner, stored=stored)
        else:
            yield required(f"{where}.expression", "expression is not specified")


def _validation(one: Validation, path: str, variables: tuple[str, ...], stored: Stored) -> Iterator[FieldError]:
    if one.expression.strip():
        yield from expression(one.expression, f"{path}.expression", variables, "bool", stored=stored)
    else:
        yield required(f"{path}.expression", "expression is not specified")
    if one.message and not one.message.strip():
        yield invalid(f"{path}.message", one.message, "message must be non-empty if specified")
    elif "\n" in one.message.strip():
        yield invalid(f"{path}.message", one.message, "message must not contain line breaks")
    if one.message_expression and not one.message_expression.strip():
        yield invalid(f"{path}.messageExpression", one.message_expression, "must be non-empty if specified")
    elif one.message_expression:
        speaking = tuple(name for name in variables if name != "authorizer")
        where = f"{path}.messageExpression"
        yield from expression(one.message_expression, where, speaking, "string", stored=stored)
    if one.reason and one.reason not in _REASONS:
        yield not_supported(f"{path}.reason", one.reason, _REASONS)
