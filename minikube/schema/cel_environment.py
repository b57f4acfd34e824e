"""The evaluator as Kubernetes sets it up (k8s.io/apiserver pkg/cel/environment): language options and libraries.

Imported only together with the evaluator.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import permutations
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

from minikube.schema.cel_library import extension
from minikube.schema.cel_library.texts import TO_OPTIONAL

_NUMBERS = ("int", "uint", "double")
_COMPARABLE = (*_NUMBERS, "bool", "string", "bytes", "timestamp", "duration")
_COMPARISONS = {"_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals"}


def environment(
    variables: tuple[str, ...], typed: Mapping[str, cel.Type] | None = None, pool: object = None
) -> cel.Env:
    """`variables` may be anything, those that are `typed` only what their type says; `pool` has the messages among
    those types."""
    return cel.NewEnv(
        descriptor_pool=pool,
        config=cel.NewEnvConfigFromYaml(_configuration()),
        variables={**dict.fromkeys(variables, cel.Type.DYN), **(typed or {})},
        extensions=[
            ext_strings.ExtStrings(),
            ext_optional.ExtOptional(),
            ext_math.ExtMath(),
            ext_bindings.ExtBindings(),
            ext_encoders.ExtEncoders(),
            extension(),
        ],
    )


def _configuration() -> str:
    """Comprehensions with two variables, sets, and comparisons between kinds of numbers: the evaluator can do them,
    only its type checker has to be told."""
    pairs = [*zip(_COMPARABLE, _COMPARABLE, strict=True), *permutations(_NUMBERS, 2)]
    configuration = {
        "extensions": [{"name": "cel.lib.ext.comprev2"}, {"name": "cel.lib.ext.sets"}],
        "stdlib": {"exclude_functions": [{"name": name} for name in _COMPARISONS]},
        "functions": [
            {"name": name, "overloads": [_comparison(f"{word}_{a}_{b}", a, b) for a, b in pairs]}
            for name, word in _COMPARISONS.items()
        ],
    }
    return json.dumps(configuration)


def _comparison(identity: str, one: str, other: str) -> dict[str, Any]:
    args = [{"type_name": one}, {"type_name": other}]
    return {"id": identity, "args": args, "return": {"type_name": "bool"}}


# Strings and comments are tokens, so that brackets in them do not count.
_TOKEN = re.compile(
    r"[rbRB]{0,2}(?:\"\"\"(?:\\.|.)*?\"\"\"|'''(?:\\.|.)*?'''|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')"
    r"|//[^\n]*|(?P<call>(?:\.\s*validate|\bformat\s*\.\s*named)\s*)(?=\()|(?P<bracket>[()\[\]{}])",
    re.DOTALL,
)


def with_optionals(text: str) -> str:
    """The expression with `.first()` behind each call of TO_OPTIONAL."""
    if not any(name.rpartition(".")[2] in text for name in TO_OPTIONAL):
        return text
    ends: list[int] = []
    open_calls: list[bool] = []
    call = False
    for token in _TOKEN.finditer(text):
        if token["call"]:
            call = True
        elif token["bracket"] and token["bracket"] in "([{":
            open_calls.append(call)
            call = False
        elif token["bracket"] and open_calls and open_calls.pop():
            ends.append(token.end())
    for end in reversed(ends):
        text = f"{text[:end]}.first(){text[end:]}"
    return text
