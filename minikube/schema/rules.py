"""x-kubernetes-validations: the rules of a custom resource's schema, evaluated over an object and its old state.

Rules and words: apiextensions-apiserver pkg/apiserver/schema/cel. A rule that names `oldSelf` is a transition rule:
it only speaks when there is an old value to compare with. Strings of format date-time stay strings here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from minikube.errors import FieldError
from minikube.schema.cel import CelError, compile
from minikube.schema.fieldset import element_key, elements
from minikube.schema.patch import equal
from minikube.schema.structure import Structure
from minikube.schema.validate import UNRELATED

NEW, BOTH = ("self",), ("self", "oldSelf")
_OPTIONAL = ("self", "oldSelves")
"""oldSelves: no or one old value, for rules that want an optional."""
_LONGEST_MESSAGE = 5 * 1024
KEYWORDS = frozenset(
    {
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
        "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
    }
)  # fmt: skip
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED = re.compile(r"__|[.\-/]")


def has_rules(structure: Structure) -> bool:
    """Whether a value of this structure or anything in it has rules."""
    below = [*structure.properties.values(), structure.additional, structure.items]
    return bool(structure.rules) or any(has_rules(each) for each in below if each is not None and not each.typed)


def broken_rules(value: Any, structure: Structure, path: str = "", old: Any = UNRELATED) -> Iterator[FieldError]:
    """What the rules find wrong, outermost first. What has not changed only has to keep transition rules."""
    if value is None or structure.typed:
        return
    if structure.rules:
        yield from _here(value, structure, path, old)
    if isinstance(value, dict):
        before = old if isinstance(old, dict) and structure.map_type != "atomic" else {}
        for name, sub in value.items():
            child, place = structure.properties.get(name), f"{path}.{name}" if path else name
            if child is None:
                child, place = structure.additional, f"{path}[{name}]"
            if child is not None:
                yield from broken_rules(sub, child, place, before.get(name, UNRELATED))
    elif isinstance(value, list) and structure.items is not None:
        known = elements(old, structure) if structure.list_type == "map" and isinstance(old, list) else {}
        for index, item in enumerate(value):
            matching = known.get(element_key(item, structure), UNRELATED) if known else UNRELATED
            yield from broken_rules(item, structure.items, f"{path}[{index}]", matching)


def _here(value: Any, structure: Structure, path: str, old: Any) -> Iterator[FieldError]:
    same = old is not UNRELATED and equal(value, old)
    new = visible(value, structure)
    before = None if old is UNRELATED or old is None else visible(old, structure)
    for rule in structure.rules:
        transition = uses_old(rule["rule"])
        if same and not transition:
            continue
        optional = bool(rule.get("optionalOldSelf"))
        if transition and before is None and not optional:
            continue
        data: dict[str, Any] = {"self": new}
        if transition and optional:
            data["oldSelves"] = [] if before is None else [before]
        elif transition:
            data["oldSelf"] = before
        wrong = _judge(rule, data, structure.type, path)
        if wrong is not None:
            yield wrong


def _judge(rule: Mapping[str, Any], data: Mapping[str, Any], kind: str, path: str) -> FieldError | None:
    said = rule.get("message", "").strip() or rule["rule"].strip()
    try:
        if _run(rule["rule"], data) is True:
            return None
    except CelError as error:
        why = f"{error} evaluating rule: {said}"
        if str(error) == "no such overload":
            signature = "call arguments did not match a supported operator, function or macro signature"
            why = f"'{error}': {signature} for rule: {said}"
        return FieldError(path or "<nil>", "FieldValueInvalid", f'Invalid value: "{kind}": {why}')
    place = _below(path, rule.get("fieldPath", ""))
    return _error(place, kind, rule.get("reason") or "FieldValueInvalid", _message(rule, data))


def _run(text: str, data: Mapping[str, Any]) -> Any:
    """Raises CelError."""
    if "oldSelves" in data:
        bound = "oldSelves.size() > 0 ? optional.of(oldSelves[0]) : optional.none()"
        return compile(f"cel.bind(oldSelf, {bound}, ({text}))", _OPTIONAL).evaluate(data)
    return compile(text, tuple(data)).evaluate(data)


def _message(rule: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    if rule.get("messageExpression"):
        try:
            said = _run(rule["messageExpression"], data)
        except CelError:
            said = None
        if isinstance(said, str) and (line := said.strip()) and "\n" not in line and len(line) <= _LONGEST_MESSAGE:
            return line
    fixed: str = rule.get("message", "").strip()
    return fixed or f"failed rule: {rule['rule'].strip()}"


def _error(path: str, kind: str, reason: str, detail: str) -> FieldError:
    place = path or "<nil>"
    if reason == "FieldValueForbidden":
        return FieldError(place, reason, f"Forbidden: {detail}")
    if reason == "FieldValueRequired":
        return FieldError(place, reason, f"Required value: {detail}")
    if reason == "FieldValueDuplicate":
        return FieldError(place, reason, f'Duplicate value: "{kind}"')
    return FieldError(place, "FieldValueInvalid", f'Invalid value: "{kind}": {detail}')


def _below(path: str, field_path: str) -> str:
    steps = re.sub(r"\['((?:[^'\\]|\\.)*)'\]", r".\1", field_path).removeprefix(".")
    return f"{path}.{steps}" if path and steps else path or steps


def uses_old(text: str) -> bool:
    """Whether it is a transition rule: one that means nothing without `oldSelf`."""
    if "oldSelf" not in text:
        return False
    try:
        compile(text, NEW)
    except CelError:
        return True
    return False


def visible(value: Any, structure: Structure) -> Any:
    """The value as rules see it: field names that are no identifiers escaped, numbers of type number floats."""
    if structure.typed:
        return value
    if isinstance(value, dict):
        return {
            escaped(name) if name in structure.properties else name: visible(sub, structure.child(name) or _PLAIN)
            for name, sub in value.items()
        }
    if isinstance(value, list):
        items = structure.items or _PLAIN
        return [visible(item, items) for item in value]
    if structure.type == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


_PLAIN = Structure()


def escaped(name: str) -> str:
    """A field's name as rules write it: `a-b` is a__dash__b, `namespace` is __namespace__."""
    if name in KEYWORDS:
        return f"__{name}__"
    return _ESCAPED.sub(lambda found: _ESCAPES[found.group()], name)
