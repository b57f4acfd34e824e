"""Strings: regular expressions (library.Regex) and named formats (library.Format)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from cel_expr_python import cel

from minikube.api.names import (
    label_1035_problems,
    label_problems,
    label_value_problems,
    qualified_name_problems,
    subdomain_problems,
)
from minikube.schema.cel_library.urls import url
from minikube.schema.cel_library.values import INT, LIST, MAP, STRING, Library, Opaque, text_of
from minikube.schema.formats import has_format
from minikube.schema.regexp import Regexp

FORMAT = "kubernetes.NamedFormat"
Problems = Callable[[str], Iterable[str]]


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    return list(islice(Regexp(pattern).all_in(text), limit if limit >= 0 else None))


def _find(text: str, pattern: str) -> str:
    return next(iter(_find_all(text, pattern, 1)), "")


def _prefix(problems: Problems) -> Problems:
    """Of a name to which something is still appended: it may end with a dash."""
    return lambda text: problems(text[:-2] + "a" if len(text) > 1 and text.endswith("-") else text)


def _shaped(name: str, otherwise: str) -> Problems:
    return lambda text: () if has_format(text, name) else (otherwise,)


def _uri(text: str) -> Iterable[str]:
    try:
        url(text)
    except ValueError as error:
        yield str(error).partition("from string: ")[2]


_FORMATS: dict[str, Problems] = {
    "dns1123Label": label_problems,
    "dns1123Subdomain": subdomain_problems,
    "dns1035Label": label_1035_problems,
    "qualifiedName": qualified_name_problems,
    "dns1123LabelPrefix": _prefix(label_problems),
    "dns1123SubdomainPrefix": _prefix(subdomain_problems),
    "dns1035LabelPrefix": _prefix(label_1035_problems),
    "labelValue": label_value_problems,
    "uri": _uri,
    "uuid": _shaped("uuid", "does not match the UUID format"),
    "byte": _shaped("byte", "invalid base64"),
    "date": _shaped("date", "invalid date"),
    "datetime": _shaped("datetime", "invalid datetime"),
}


def _named(name: str) -> list[Opaque]:
    return [{FORMAT: name}] if name in _FORMATS else []


def _validate(format: Opaque, text: str) -> list[list[str]]:
    problems = list(_FORMATS[text_of(format, FORMAT)](text))
    return [problems] if problems else []


def _constant(name: str) -> Callable[[], Opaque]:
    return lambda: {FORMAT: name}


TO_OPTIONAL = frozenset({"validate", "format.named"})
"""Functions that answer an optional: here a list with nothing or one thing in it. Implementations cannot make
optionals, so whoever compiles an expression appends `.first()` to calls of these."""
FUNCTIONS: Library = {
    "format.named": ((cel.Type.List(MAP), (STRING,), _named),),
    **{f"format.{name}": ((MAP, (), _constant(name)),) for name in _FORMATS},
}
MEMBERS: Library = {
    "find": ((STRING, (STRING, STRING), _find),),
    "findAll": (
        (cel.Type.List(STRING), (STRING, STRING), _find_all),
        (cel.Type.List(STRING), (STRING, STRING, INT), _find_all),
    ),
    "validate": ((cel.Type.List(LIST), (MAP, STRING), _validate),),
}
