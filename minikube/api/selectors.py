"""Label and field selectors. Rules and words: k8s.io/apimachinery/pkg/labels, pkg/fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from minikube.api.meta_v1 import LabelSelector
from minikube.api.names import label_value_problems, qualified_name_problems


class SelectorError(ValueError):
    """The text is not a selector; the message is upstream's."""


class Requirement(msgspec.Struct, frozen=True):
    """`operator`: =, !=, in, notin, exists, !, gt, lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "gt" | "lt":
                try:
                    have, limit = int(value or ""), int(next(iter(self.values)))
                except ValueError:
                    return False
                return have > limit if self.operator == "gt" else have < limit
        return False


class Selector(msgspec.Struct, frozen=True):
    """All requirements hold; none: everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.holds(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)


_TOKEN = re.compile(r"\s*(!=|==|=|!|\(|\)|,|<|>|[^\s=!(),<>]+|\Z)")


@lru_cache(maxsize=1024)
def parse_labels(text: str) -> Selector:
    """`app=web,tier in (a,b),!old`. Raises SelectorError."""
    tokens = _TOKEN.findall(text)
    position = 0

    def peek() -> str:
        return tokens[position] if position < len(tokens) else ""

    def take() -> str:
        nonlocal position
        token = peek()
        position += 1
        return token

    def values() -> frozenset[str]:
        if take() != "(":
            raise SelectorError(f"unable to parse requirement: found '{tokens[position - 1]}', expected: '('")
        found: list[str] = []
        expecting = True
        while (token := take()) != ")":
            if token == "":
                raise SelectorError("unable to parse requirement: found '', expected: ',', or ')'")
            if token == ",":
                if expecting:
                    found.append("")
                expecting = True
            else:
                found.append(token)
                expecting = False
        if expecting and found:
            found.append("")
        return frozenset(found or [""])

    requirements: list[Requirement] = []
    if not text.strip():
        return Selector()
    while True:
        if peek() == "!":
            take()
            requirements.append(_checked(Requirement(take(), "!")))
        else:
            key = take()
            if key in ("", ",", "(", ")", "=", "==", "!=", "<", ">"):
                raise SelectorError(
                    f"unable to parse requirement: found '{key}', expected: !, identifier, or 'end of string'"
                )
            operator = peek()
            if operator in ("=", "==", "!="):
                take()
                value = take() if peek() not in (",", "") else ""
                if value in ("(", ")", "=", "==", "!=", "!", "<", ">"):
                    raise SelectorError(f"unable to parse requirement: found '{value}', expected: identifier")
                requirements.append(
                    _checked(Requirement(key, "!=" if operator == "!=" else "=", frozenset([value])))
                )
            elif operator in ("in", "notin"):
                take()
                requirements.append(_checked(Requirement(key, operator, values())))
            elif operator in ("<", ">"):
                take()
                requirements.append(
                    _checked(Requirement(key, "lt" if operator == "<" else "gt", frozenset([take()])))
                )
            else:
                requirements.append(_checked(Requirement(key, "exists")))
        following = take()
        if following == "":
            return Selector(tuple(requirements))
        if following != ",":
            raise SelectorError(
                f"unable to parse requirement: found '{following}', expected: ',' or 'end of string'"
            )
        if peek() == "":
            raise SelectorError("unable to parse requirement: found '', expected: identifier after ','")


def _checked(requirement: Requirement) -> Requirement:
    for problem in qualified_name_problems(requirement.key):
        raise SelectorError(f'unable to parse requirement: key: Invalid value: "{requirement.key}": {problem}')
    if requirement.operator in ("gt", "lt"):
        return requirement
    for value in sorted(requirement.values):
        for problem in label_value_problems(value):
            raise SelectorError(
                f'unable to parse requirement: values[0][{requirement.key}]: Invalid value: "{value}": {problem}'
            )
    return requirement


def compile_selector(selector: LabelSelector) -> Selector:
    """metav1.LabelSelector to requirements; an empty one matches everything."""
    found = [Requirement(key, "=", frozenset([value])) for key, value in selector.match_labels.items()]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    for expression in selector.match_expressions:
        operator = operators.get(expression.operator, expression.operator)
        found.append(Requirement(expression.key, operator, frozenset(expression.values)))
    return Selector(tuple(found))


def matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether a metav1.LabelSelector selects these labels."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    return not selector.match_expressions or compile_selector(selector).matches(labels)


def selector_text(selector: LabelSelector) -> str:
    """As kubectl prints it: a=b,c in (d,e),!f; <none> when empty."""
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for expression in selector.match_expressions:
        values = ",".join(sorted(expression.values))
        match expression.operator:
            case "In":
                parts.append(f"{expression.key} in ({values})")
            case "NotIn":
                parts.append(f"{expression.key} notin ({values})")
            case "Exists":
                parts.append(expression.key)
            case "DoesNotExist":
                parts.append(f"!{expression.key}")
    return ",".join(parts) or "<none>"


class FieldRequirement(msgspec.Struct, frozen=True):
    field: str
    value: str
    equal: bool

    def holds(self, fields: Mapping[str, str]) -> bool:
        return (fields.get(self.field, "") == self.value) is self.equal


@lru_cache(maxsize=1024)
def parse_fields(text: str) -> tuple[FieldRequirement, ...]:
    """`spec.nodeName=n1,status.phase!=Failed` with backslash escapes. Raises SelectorError."""
    found = []
    for part in re.split(r"(?<!\\),", text):
        if not part:
            continue
        shape = re.fullmatch(r"([^=!]+?)(!=|==|=)(.*)", part, re.S)
        if shape is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        value = re.sub(r"\\([\\,=])", r"\1", shape[3])
        found.append(FieldRequirement(shape[1], value, shape[2] != "!="))
    return tuple(found)
