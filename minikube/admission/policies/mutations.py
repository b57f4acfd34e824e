"""What the mutations of one policy make of an object. Pure.

Rules and words: k8s.io/apiserver pkg/admission/plugin/policy/mutating (patch: smd.go, json_patch.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minikube.admission.expressions import all_met
from minikube.admission.policies.decisions import fill_variables
from minikube.api.admissionregistration_v1 import MutatingAdmissionPolicySpec, Mutation
from minikube.schema.cel import CelError, compile
from minikube.schema.cel_messages import without_messages
from minikube.schema.fieldset import element_key, is_leaf
from minikube.schema.merge import merged
from minikube.schema.patch import PatchError, json_patch
from minikube.schema.structure import ANY, Structure

Tree = dict[str, Any]


class MutationFailed(Exception):
    """A mutation that makes nothing that could be admitted."""


def mutated(
    spec: MutatingAdmissionPolicySpec, outer: Mapping[str, Any], namespace: Any, structure: Structure
) -> Tree:
    """`outer` as in `decisions.decide`; each mutation sees what the one before made of the object.
    Raises CelError, MutationFailed."""
    made: Tree = dict(outer["object"])
    if not all_met(spec.match_conditions, outer):
        return made
    for mutation in spec.mutations:
        data = {**outer, "object": made, "namespaceObject": namespace, "variables": {}}
        fill_variables(spec.variables, data)
        made = _applied(mutation, data, made, structure)
    return made


def _applied(mutation: Mutation, data: Mapping[str, Any], present: Tree, structure: Structure) -> Tree:
    if mutation.apply_configuration is not None:
        found = _evaluated(mutation.apply_configuration.expression, data)
        if not isinstance(found, dict):
            raise MutationFailed("must evaluate to Object but got " + type(found).__name__)
        if atomic := list(_atomic(found, structure, "")):
            raise MutationFailed(
                "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
                + ", ".join(atomic)
            )
        merging: Tree = merged(present, found, structure)
        return merging
    operations = _evaluated(mutation.json_patch.expression if mutation.json_patch else "[]", data)
    if not isinstance(operations, list):
        raise MutationFailed("type mismatch: JSONPatchType.expression should evaluate to array")
    try:
        patched = json_patch(present, operations)
    except PatchError as error:
        raise MutationFailed(f"JSON Patch: {error}") from error
    if not isinstance(patched, dict):
        raise MutationFailed("JSON Patch: it left no object")
    return patched


def _evaluated(text: str, data: Mapping[str, Any]) -> Any:
    try:
        return compile(without_messages(text), tuple(data)).evaluate(data)
    except CelError as error:
        raise CelError(f"expression '{text}' resulted in error: {error}") from error


def _atomic(value: Any, structure: Structure, path: str) -> Iterator[str]:
    """Paths of objects, and of lists of them, that could only be replaced as a whole."""
    if isinstance(value, dict) and value:
        if is_leaf(value, structure):
            yield path
            return
        for name, sub in value.items():
            yield from _atomic(sub, structure.child(name) or ANY, f"{path}.{name}")
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        if is_leaf(value, structure):
            yield path
            return
        for each in value:
            yield from _atomic(each, structure.items or ANY, f"{path}[{element_key(each, structure)}]")
