"""Admission policies in CEL, validating or mutating, that see the deployments of one namespace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.conformance.space import Obj, Space

GROUP = "admissionregistration.k8s.io/v1"


def _here(space: Space) -> Obj:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}}}


def policy(space: Space, kind: str, operations: Sequence[str], **spec: Any) -> Obj:
    """`kind`: ValidatingAdmissionPolicy or MutatingAdmissionPolicy."""
    rule = {"operations": [*operations], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
    return {
        "apiVersion": GROUP,
        "kind": kind,
        "metadata": {"name": f"{space.name}.policy.example.com"},
        "spec": {"matchConstraints": {**_here(space), "resourceRules": [rule]}, **spec},
    }


def binding(space: Space, kind: str, **spec: Any) -> Obj:
    """Of the policy of this kind."""
    return {
        "apiVersion": GROUP,
        "kind": f"{kind}Binding",
        "metadata": {"name": f"{space.name}.binding.example.com"},
        "spec": {"policyName": f"{space.name}.policy.example.com", "matchResources": _here(space), **spec},
    }


@contextmanager
def bound(space: Space, policy: Obj, binding: Obj) -> Iterator[None]:
    """In force while the block runs."""
    space.create(policy)
    space.create(binding)
    try:
        yield
    finally:
        for each in (binding, policy):
            space.delete(f"{GROUP}/{each['kind']}", each["metadata"]["name"])
