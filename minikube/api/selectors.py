"""Label and field selectors: read from a query or an object, matched against labels or fields.

Grammar and words: k8s.io/apimachinery/pkg/labels, pkg/fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from minikube.api.meta_v1 import LabelSelector
from minikube.api.names import label_value_problems, qualified_name_problems


class SelectorError(ValueError):
    """The text or structure is no selector; the message is upstream's."""


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

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        match self.operator:
            case "=" | "!=":
                return f"{self.key}{self.operator}{values}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({values})"
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
        return f"{self.key}{'>' if self.operator == 'gt' else '<'}{values}"


class Selector(msgspec.Struct, frozen=True):
    """All requirements hold; none: everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.holds(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


_TOKEN = re.compile(r"\s*(?:(==|!=|[=!,()<>])|([^\s=!,()<>]+))")
_END = ""


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        at, text = 0, text.rstrip()
        while at < len(text) and (found := _TOKEN.match(text, at)):
            self._tokens.append(found.group(1) or found.group(2))
            at = found.end()
        self._at = 0

    def _look(self, ahead: int = 0) -> str:
        position = self._at + ahead
        return self._tokens[position] if position < len(self._tokens) else _END

    def _take(self) -> str:
        token = self._look()
        self._at += 1
        return token

    @staticmethod
    def _identifier(token: str) -> bool:
        return token != _END and token[0] not in "=!,()<>"

    def parse(self) -> tuple[Requirement, ...]:
        found: list[Requirement] = []
        while True:
            token = self._look()
            if token == _END:
                return tuple(found)
            if not self._identifier(token) and token != "!":
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            found.append(self._requirement())
            after = self._take()
            if after == _END:
                return tuple(found)
            if after != ",":
                raise SelectorError(f"found '{after}', expected: ',' or 'end of string'")
            following = self._look()
            if not self._identifier(following) and following != "!":
                raise SelectorError(f"found '{following}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        if self._look() == "!":
            self._take()
            return checked(self._key(), "!")
        key = self._key()
        if self._look() in (_END, ","):
            return checked(key, "exists")
        sign = self._take()
        match sign:
            case "=" | "==":
                return checked(key, "=", (self._value(),))
            case "!=":
                return checked(key, "!=", (self._value(),))
            case ">" | "<":
                return checked(key, "gt" if sign == ">" else "lt", (self._value(),))
            case "in" | "notin":
                return checked(key, sign, self._values())
        raise SelectorError(f"found '{sign}', expected: in, notin, =, ==, !=, gt, lt")

    def _key(self) -> str:
        token = self._take()
        if not self._identifier(token):
            raise SelectorError(f"found '{token}', expected: identifier")
        return token

    def _value(self) -> str:
        token = self._look()
        if token in (_END, ","):
            return ""
        self._take()
        if not self._identifier(token):
            raise SelectorError(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> tuple[str, ...]:
        opened = self._take()
        if opened != "(":
            raise SelectorError(f"found '{opened}' expected: '('")
        values: list[str] = []
        while True:
            token = self._take()
            if self._identifier(token):
                values.append(token)
                token = self._take()
            else:
                values.append("")
            if token == ")":
                return tuple(dict.fromkeys(values))
            if token != ",":
                raise SelectorError(f"found '{token}', expected: ',', or ')'")


def checked(key: str, operator: str, values: Sequence[str] = ()) -> Requirement:
    """A requirement whose key and values may be such. Raises SelectorError."""
    if wrong := "; ".join(qualified_name_problems(key)):
        raise SelectorError(f'key: Invalid value: "{key}": {wrong}')
    if operator in ("gt", "lt"):
        if not re.fullmatch(r"[+-]?\d+", values[0]):
            raise SelectorError(
                f"values[0]: Invalid value: \"{values[0]}\": for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return Requirement(key, operator, frozenset(values))
    for index, value in enumerate(values):
        if wrong := "; ".join(label_value_problems(value)):
            raise SelectorError(f'values[{index}][{key}]: Invalid value: "{value}": {wrong}')
    return Requirement(key, operator, frozenset(values))


@lru_cache(maxsize=1024)
def parse_labels(text: str) -> Selector:
    """`app=web,tier in (a,b),!old`; "" selects everything. Raises SelectorError."""
    try:
        return Selector(_Parser(text).parse())
    except SelectorError as exc:
        raise SelectorError(f"unable to parse requirement: {exc}") from exc


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def compile_selector(selector: LabelSelector) -> Selector:
    """metav1.LabelSelector to requirements; an empty one matches everything."""
    found = [Requirement(key, "=", frozenset([value])) for key, value in selector.match_labels.items()]
    for expression in selector.match_expressions:
        operator = _OPERATORS.get(expression.operator, expression.operator)
        found.append(Requirement(expression.key, operator, frozenset(expression.values)))
    return Selector(tuple(sorted(found, key=lambda requirement: requirement.key)))


def matches(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether a metav1.LabelSelector selects these labels; none selects nothing."""
    if selector is None or any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    return not selector.match_expressions or compile_selector(selector).matches(labels)


def selector_text(selector: LabelSelector | None) -> str:
    """As kubectl prints it: a=b,c in (d,e),!f; <none> when empty."""
    return str(compile_selector(selector)) or "<none>" if selector else "<none>"


class FieldRequirement(msgspec.Struct, frozen=True):
    field: str
    value: str
    equal: bool = True

    def holds(self, fields: Mapping[str, str]) -> bool:
        return (fields.get(self.field, "") == self.value) is self.equal


def _terms(text: str) -> list[str]:
    """Split at commas that no backslash hides."""
    terms, current, hidden = [], "", False
    for sign in text:
        if sign == "," and not hidden:
            terms.append(current)
            current = ""
            continue
        hidden = sign == "\\" and not hidden
        current += sign
    return [*terms, current]


def _unescape(value: str) -> str:
    out, hidden = "", False
    for sign in value:
        if hidden:
            if sign not in "\\,=":
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{sign}")
            out, hidden = out + sign, False
        elif sign == "\\":
            hidden = True
        elif sign in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {sign}")
        else:
            out += sign
    if hidden:
        raise SelectorError("invalid field selector: incomplete escape sequence")
    return out


@lru_cache(maxsize=1024)
def parse_fields(text: str) -> tuple[FieldRequirement, ...]:
    """`spec.nodeName=n1,status.phase!=Failed` with backslash escapes; all have to hold. Raises SelectorError."""
    found = []
    for term in _terms(text):
        if not term:
            continue
        split = re.match(r"([^=!\\]*)(!=|==|=)(.*)\Z", term, re.DOTALL)
        if not split:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        found.append(FieldRequirement(split.group(1), _unescape(split.group(3)), equal=split.group(2) != "!="))
    return tuple(found)
