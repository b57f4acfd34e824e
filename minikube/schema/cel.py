"""Common Expression Language: expressions compiled once, evaluated over JSON trees, worded as cel-go words it.

Every variable is dynamically typed: fields are looked up when an expression runs, not when it is compiled. The
evaluator (16 MB) is loaded with the first expression.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cel_expr_python import cel

_CODE = re.compile(r"\A[A-Z_]+: ")
_WORDS = (
    (re.compile(r'Key not found in map : "?(.*?)"?\Z'), r"no such key: \1"),
    (re.compile(r"No matching overloads found.*", re.DOTALL), "no such overload"),
    (re.compile(r"Index error: index=(-?\d+).*"), r"index out of bounds: \1"),
    (re.compile(r"\Adivide by zero"), "division by zero"),
    (re.compile(r"\Amodulus by zero"), "modulus by zero"),
)
"""What cel-cpp says, and how cel-go says the same."""


class CelError(Exception):
    """An expression that cannot be compiled (`ERROR: <input>:1:3: …`) or whose evaluation failed."""


class Expression:
    """A compiled expression. `type` is the static type of its result: "bool", "string", "dyn", …"""

    __slots__ = ("_program", "text", "type")

    def __init__(self, text: str, program: cel.Expression) -> None:
        self.text = text
        self.type = program.return_type().name().lower()
        self._program = program

    def may_be(self, *types: str) -> bool:
        return self.type in ("dyn", *types)

    def evaluate(self, data: Mapping[str, Any]) -> Any:
        """The result as a plain Python value; `data` has a JSON tree for each variable. Raises CelError."""
        try:
            result = self._program.eval(data=dict(data))
        except RuntimeError as error:
            raise CelError(_plain(str(error))) from error
        if result.type().name() == "ERROR":
            raise CelError(_reworded(str(result.value())))
        try:
            return result.plain_value()
        except TypeError as error:
            raise CelError("the result has a type that cannot be read") from error


@lru_cache(maxsize=4096)
def compile(text: str, variables: tuple[str, ...]) -> Expression:
    """Raises CelError."""
    return checked(text, _environment(variables))


def checked(text: str, environment: cel.Env) -> Expression:
    """The expression, which suits the types of this environment. Raises CelError."""
    from minikube.schema.cel_environment import with_optionals

    try:
        return Expression(text, environment.compile(with_optionals(text)))
    except RuntimeError as error:
        raise CelError(_plain(str(error))) from error


@lru_cache(maxsize=64)
def _environment(variables: tuple[str, ...]) -> cel.Env:
    from minikube.schema.cel_environment import environment

    return environment(variables)


def _plain(text: str) -> str:
    """Without the status code of the evaluator."""
    return _CODE.sub("", text).removesuffix(" [INVALID_ARGUMENT]")


def _reworded(text: str) -> str:
    text = _CODE.sub("", text)
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text
