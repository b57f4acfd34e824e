"""Kubernetes' own CEL functions (k8s.io/apiserver pkg/cel/library), a library a file.

A Quantity, URL, IP, CIDR, Semver, Image, … is a map with one entry here, its kind and its text (`values.py`).
Imported only together with the evaluator.
"""

from __future__ import annotations

from typing import Any

from cel_expr_python import cel

from minikube.schema.cel_library import (
    addresses,
    authorization,
    images,
    lists,
    patches,
    quantities,
    texts,
    urls,
    versions,
)
from minikube.schema.cel_library.quantities import amount
from minikube.schema.cel_library.values import BOOL, INT, MAP, Library, Opaque, Signature
from minikube.schema.cel_library.versions import SEMVER, precedence

_LIBRARIES = (quantities, lists, texts, urls, addresses, versions, images, authorization, patches)


def extension() -> cel.CelExtension:
    """An extension, because functions of extensions may add overloads to what the language itself declares."""
    members: dict[str, tuple[Signature, ...]] = dict(_COMPARISONS)
    functions: dict[str, tuple[Signature, ...]] = {}
    for library in _LIBRARIES:
        functions.update(library.FUNCTIONS)
        members.update(library.MEMBERS)
    declared = [
        cel.FunctionDecl(
            name,
            [
                *_overloads(name, functions.get(name, ()), member=False),
                *_overloads(name, members.get(name, ()), member=True),
            ],
        )
        for name in {**functions, **members}
    ]
    return cel.CelExtension("kubernetes", declared)


def _overloads(name: str, signatures: tuple[Signature, ...], *, member: bool) -> list[cel.Overload]:
    of = "member" if member else "global"
    return [
        cel.Overload(
            f"minikube_{of}_{name.replace('.', '_')}_{index}",
            return_type=result,
            parameters=list(parameters),
            is_member=member,
            impl=implementation,
        )
        for index, (result, parameters, implementation) in enumerate(signatures)
    ]


def _compare(one: Opaque, other: Opaque) -> int:
    """Of two quantities or two versions: -1, 0 or 1."""
    a: Any = precedence(one) if SEMVER in one else amount(one)
    b: Any = precedence(other) if SEMVER in one else amount(other)
    return 1 if a > b else -1 if a < b else 0


_COMPARISONS: Library = {
    "isGreaterThan": ((BOOL, (MAP, MAP), lambda a, b: _compare(a, b) > 0),),
    "isLessThan": ((BOOL, (MAP, MAP), lambda a, b: _compare(a, b) < 0),),
    "compareTo": ((INT, (MAP, MAP), _compare),),
}
