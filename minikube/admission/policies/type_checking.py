"""Whether the expressions of a validating policy suit the kinds it is about: what its status warns of.

Rules and words: k8s.io/apiserver pkg/admission/plugin/policy/validating/typechecking.go. Kinds of custom resources
are not looked at; neither are parameters, variables and the request, which may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minikube.api.admissionregistration_v1 import (
    ExpressionWarning,
    NamedRuleWithOperations,
    ValidatingAdmissionPolicy,
)
from minikube.resources.base import Kind
from minikube.resources.rules.expressions import POLICY, variables_of_policy

MOST_KINDS = 10
"""Of one policy."""


def expression_warnings(policy: ValidatingAdmissionPolicy, served: Sequence[Kind]) -> tuple[ExpressionWarning, ...]:
    """In the order of the expressions; `served`: every kind there is. Takes up to some 50 ms a kind."""
    kinds = checked_kinds(policy, served)
    others = (*variables_of_policy(policy.spec), *POLICY)
    variables = tuple(name for name in others if name not in ("object", "oldObject"))
    found = []
    for index, validation in enumerate(policy.spec.validations):
        for field, text in (
            ("expression", validation.expression),
            ("messageExpression", validation.message_expression),
        ):
            told = [line for kind in kinds for line in _problem(text, kind, variables)] if text else []
            if told:
                found.append(ExpressionWarning(f"spec.validations[{index}].{field}", "\n".join(told)))
    return tuple(found)


def checked_kinds(policy: ValidatingAdmissionPolicy, served: Sequence[Kind]) -> list[Kind]:
    """The built-in kinds that the rules name outright, without wildcards, by group, version and kind."""
    constraints = policy.spec.match_constraints
    found: dict[tuple[str, str, str], Kind] = {}
    for rule in constraints.resource_rules if constraints is not None else ():
        for kind in _named(rule, served):
            resource = kind.resource
            found[resource.group, resource.version, resource.kind] = kind
            if len(found) == MOST_KINDS:
                break
    return [found[key] for key in sorted(found)]


def _named(rule: NamedRuleWithOperations, served: Sequence[Kind]) -> Iterator[Kind]:
    if any("*" in name for name in (*rule.api_groups, *rule.api_versions)):
        return
    plurals = {name for name in rule.resources if not set(name) & {"*", "/"}}
    for kind in served:
        resource = kind.resource
        named = resource.group in rule.api_groups and resource.version in rule.api_versions
        if kind.definition and named and resource.plural in plurals:
            yield kind


def _problem(text: str, kind: Kind, variables: tuple[str, ...]) -> Iterator[str]:
    from minikube.schema.cel_typed import type_problem

    if problem := type_problem(text, kind.definition, variables):
        resource = kind.resource
        yield f"{resource.group}/{resource.version}, Kind={resource.kind}: {problem}\n"
