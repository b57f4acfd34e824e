"""What admission policies and their bindings may say (pkg/apis/admissionregistration/validation)."""

from __future__ import annotations

from collections.abc import Iterator

from minikube.api.admissionregistration_v1 import (
    MatchResources,
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    Mutation,
    ParamRef,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)
from minikube.api.meta import to_dict
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.expressions import mutating_expressions, policy_expressions
from minikube.resources.rules.invalid import at, forbidden, invalid, not_supported, required
from minikube.resources.rules.webhook import rules_of


class ValidatingPolicyRules(Strategy[ValidatingAdmissionPolicy]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(
        self, new: ValidatingAdmissionPolicy, old: ValidatingAdmissionPolicy | None
    ) -> Iterator[FieldError]:
        spec = new.spec
        if spec.failure_policy not in ("", "Fail", "Ignore"):
            yield not_supported("spec.failurePolicy", spec.failure_policy, ("Fail", "Ignore"))
        if not spec.validations and not spec.audit_annotations:
            why = "validations or auditAnnotations must contain at least one item"
            yield required("spec.validations", why)
        yield from policy_expressions(spec, old.spec if old is not None else None)
        yield from _constraints(spec.match_constraints)


class MutatingPolicyRules(Strategy[MutatingAdmissionPolicy]):
    def validate(self, new: MutatingAdmissionPolicy, old: MutatingAdmissionPolicy | None) -> Iterator[FieldError]:
        spec = new.spec
        if spec.failure_policy not in ("", "Fail", "Ignore"):
            yield not_supported("spec.failurePolicy", spec.failure_policy, ("Fail", "Ignore"))
        if not spec.mutations:
            yield required("spec.mutations", "mutations must contain at least one item")
        for index, mutation in enumerate(spec.mutations):
            yield from _mutation(mutation, at("spec.mutations", index))
        yield from mutating_expressions(spec, old.spec if old is not None else None)
        if not spec.reinvocation_policy:
            yield required("spec.reinvocationPolicy")
        elif spec.reinvocation_policy not in ("IfNeeded", "Never"):
            yield not_supported("spec.reinvocationPolicy", spec.reinvocation_policy, ("IfNeeded", "Never"))
        yield from _constraints(spec.match_constraints)


def _mutation(mutation: Mutation, path: str) -> Iterator[FieldError]:
    kinds = {"ApplyConfiguration": mutation.apply_configuration, "JSONPatch": mutation.json_patch}
    fields = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
    if not mutation.patch_type:
        yield required(f"{path}.patchType")
        return
    if mutation.patch_type not in kinds:
        yield not_supported(f"{path}.patchType", mutation.patch_type, tuple(kinds))
        return
    for kind, given in kinds.items():
        if kind == mutation.patch_type and given is None:
            yield required(f"{path}.{fields[kind]}", f"must be specified when patchType is {kind}")
        elif kind != mutation.patch_type and given is not None:
            why = f"must not be specified when patchType is {mutation.patch_type}"
            yield invalid(f"{path}.{fields[kind]}", to_dict(given), why)


def _constraints(found: MatchResources | None) -> Iterator[FieldError]:
    path = "spec.matchConstraints"
    if found is None:
        yield required(path)
    elif not found.resource_rules:
        yield required(f"{path}.resourceRules")
    else:
        for index, rule in enumerate(found.resource_rules):
            yield from rules_of(rule, at(f"{path}.resourceRules", index))


class MutatingBindingRules(Strategy[MutatingAdmissionPolicyBinding]):
    def validate(
        self, new: MutatingAdmissionPolicyBinding, old: MutatingAdmissionPolicyBinding | None
    ) -> Iterator[FieldError]:
        if not new.spec.policy_name:
            yield required("spec.policyName")
        yield from _param_ref(new.spec.param_ref)


def _param_ref(ref: ParamRef | None) -> Iterator[FieldError]:
    if ref is not None and bool(ref.name) == (ref.selector is not None):
        yield forbidden("spec.paramRef.name", "name and selector are mutually exclusive")


class ValidatingBindingRules(Strategy[ValidatingAdmissionPolicyBinding]):
    def validate(
        self, new: ValidatingAdmissionPolicyBinding, old: ValidatingAdmissionPolicyBinding | None
    ) -> Iterator[FieldError]:
        spec, actions = new.spec, ("Audit", "Deny", "Warn")
        if not spec.policy_name:
            yield required("spec.policyName")
        if not spec.validation_actions:
            yield required("spec.validationActions", "at least one validation action is required")
        for index, action in enumerate(spec.validation_actions):
            if action not in actions:
                yield not_supported(at("spec.validationActions", index), action, actions)
        if {"Deny", "Warn"} <= set(spec.validation_actions):
            why = (
                "must not contain both Deny and Warn (repeating the same validation failure information in the API "
                "response and headers serves no purpose)"
            )
            yield invalid("spec.validationActions", spec.validation_actions, why)
        yield from _param_ref(spec.param_ref)
