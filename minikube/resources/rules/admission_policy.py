"""What admission policies and their bindings may say (pkg/apis/admissionregistration/validation)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minikube.api.admissionregistration_v1 import (
    AuditAnnotation,
    MatchResources,
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    Mutation,
    NamedRuleWithOperations,
    ParamKind,
    ParamRef,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)
from minikube.api.meta import to_dict
from minikube.api.names import (
    label_1035_problems,
    path_segment_problems,
    qualified_name_problems,
    subdomain_problems,
)
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.expressions import mutating_expressions, policy_expressions
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, not_supported, one_of, required
from minikube.resources.rules.labelling import label_selector
from minikube.resources.rules.webhook import MATCH_POLICIES, rules_of

_MOST_ANNOTATIONS = 20


class ValidatingPolicyRules(Strategy[ValidatingAdmissionPolicy]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(
        self, new: ValidatingAdmissionPolicy, old: ValidatingAdmissionPolicy | None
    ) -> Iterator[FieldError]:
        spec = new.spec
        if spec.failure_policy not in ("", "Fail", "Ignore"):
            yield not_supported("spec.failurePolicy", spec.failure_policy, ("Fail", "Ignore"))
        yield from _param_kind(spec.param_kind, "spec.paramKind")
        if not spec.validations and not spec.audit_annotations:
            why = "validations or auditAnnotations must contain at least one item"
            yield required("spec.validations", why)
            yield required("spec.auditAnnotations", why)
        yield from _audit_annotations(spec.audit_annotations, new.metadata.name)
        yield from policy_expressions(spec, old.spec if old is not None else None)
        yield from _constraints(spec.match_constraints)


class MutatingPolicyRules(Strategy[MutatingAdmissionPolicy]):
    def validate(self, new: MutatingAdmissionPolicy, old: MutatingAdmissionPolicy | None) -> Iterator[FieldError]:
        spec = new.spec
        if spec.failure_policy not in ("", "Fail", "Ignore"):
            yield not_supported("spec.failurePolicy", spec.failure_policy, ("Fail", "Ignore"))
        yield from _param_kind(spec.param_kind, "spec.paramKind")
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
        return
    yield from match_resources(found, path)
    if not found.resource_rules:
        yield required(f"{path}.resourceRules")


def named_rules(rules: Sequence[NamedRuleWithOperations], path: str) -> Iterator[FieldError]:
    for index, rule in enumerate(rules):
        where = at(path, index)
        for number, name in enumerate(rule.resource_names):
            for why in path_segment_problems(name):
                yield invalid(at(f"{where}.resourceNames", number), name, why)
            if name in rule.resource_names[:number]:
                yield duplicate(at(f"{where}.resourceNames", number), name)
        yield from rules_of(rule, where)


def match_resources(wanted: MatchResources, path: str) -> Iterator[FieldError]:
    if wanted.match_policy and wanted.match_policy not in MATCH_POLICIES:
        yield not_supported(f"{path}.matchPolicy", wanted.match_policy, MATCH_POLICIES)
    yield from label_selector(wanted.namespace_selector, f"{path}.namespaceSelector")
    yield from label_selector(wanted.object_selector, f"{path}.objectSelector")
    yield from named_rules(wanted.resource_rules, f"{path}.resourceRules")
    yield from named_rules(wanted.exclude_resource_rules, f"{path}.excludeResourceRules")


def _param_kind(kind: ParamKind | None, path: str) -> Iterator[FieldError]:
    if kind is None:
        return
    group, _, version = kind.api_version.rpartition("/")
    where = f"{path}.apiVersion"
    if not kind.api_version:
        yield required(where)
    elif "/" in group:
        yield invalid(where, kind.api_version, f"unexpected GroupVersion string: {kind.api_version}")
    elif not version:
        yield invalid(where, kind.api_version, "version must be specified")
    else:
        if group and (wrong := ",".join(subdomain_problems(group))):
            yield invalid(where, group, wrong)
        if wrong := ",".join(label_1035_problems(version)):
            yield invalid(where, version, wrong)
    if not kind.kind:
        yield required(f"{path}.kind")
    elif wrong := ",".join(label_1035_problems(kind.kind.lower())):
        why = f"may have mixed case, but should otherwise match: {wrong}"
        yield invalid(f"{path}.kind", kind.kind, why)


def _audit_annotations(given: Sequence[AuditAnnotation], policy: str) -> Iterator[FieldError]:
    """Their keys; `policy_expressions` looks at their values."""
    path = "spec.auditAnnotations"
    if len(given) > _MOST_ANNOTATIONS:
        yield invalid(path, given, f"must not have more than {_MOST_ANNOTATIONS} auditAnnotations")
    keys: set[str] = set()
    for index, one in enumerate(given):
        where = f"{at(path, index)}.key"
        for why in qualified_name_problems(f"{policy}/{one.key}"):
            yield invalid(where, f"{policy}/{one.key}", why)
        if one.key in keys:
            yield duplicate(where, one.key)
        keys.add(one.key)


def _policy_name(name: str) -> Iterator[FieldError]:
    if not name:
        yield required("spec.policyName")
        return
    for why in subdomain_problems(name):
        yield invalid("spec.policyName", name, why)


def _param_ref(ref: ParamRef | None, path: str) -> Iterator[FieldError]:
    if ref is None:
        return
    exclusive = "name and selector are mutually exclusive"
    for why in path_segment_problems(ref.name):
        yield invalid(f"{path}.name", ref.name, why)
    if ref.name and ref.selector is not None:
        yield forbidden(f"{path}.name", exclusive)
    yield from label_selector(ref.selector, f"{path}.selector")
    if ref.name and ref.selector is not None:
        yield forbidden(f"{path}.selector", exclusive)
    if not ref.name and ref.selector is None:
        yield required(path, "one of name or selector must be specified")
    yield from one_of(f"{path}.parameterNotFoundAction", ref.parameter_not_found_action, ("Allow", "Deny"))


def _match_resources(wanted: MatchResources | None) -> Iterator[FieldError]:
    """Of a binding; the path is spelled as upstream spells it."""
    if wanted is not None:
        yield from match_resources(wanted, "spec.matchResouces")


class MutatingBindingRules(Strategy[MutatingAdmissionPolicyBinding]):
    def validate(
        self, new: MutatingAdmissionPolicyBinding, old: MutatingAdmissionPolicyBinding | None
    ) -> Iterator[FieldError]:
        yield from _policy_name(new.spec.policy_name)
        yield from _param_ref(new.spec.param_ref, "spec.paramRef")
        yield from _match_resources(new.spec.match_resources)


class ValidatingBindingRules(Strategy[ValidatingAdmissionPolicyBinding]):
    def validate(
        self, new: ValidatingAdmissionPolicyBinding, old: ValidatingAdmissionPolicyBinding | None
    ) -> Iterator[FieldError]:
        spec, actions = new.spec, ("Audit", "Deny", "Warn")
        yield from _policy_name(spec.policy_name)
        yield from _match_resources(spec.match_resources)
        if not spec.validation_actions:
            yield required("spec.validationActions", "at least one validation action is required")
        for index, action in enumerate(spec.validation_actions):
            if action not in actions:
                yield not_supported(at("spec.validationActions", index), action, actions)
            if action in spec.validation_actions[:index]:
                yield duplicate(at("spec.validationActions", index), action)
        if {"Deny", "Warn"} <= set(spec.validation_actions):
            why = (
                "must not contain both Deny and Warn (repeating the same validation failure information in the API "
                "response and headers serves no purpose)"
            )
            yield invalid("spec.validationActions", spec.validation_actions, why)
        yield from _param_ref(spec.param_ref, "spec.paramRef")
