"""What flow schemas and priority levels may say (pkg/apis/flowcontrol/validation)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from minikube.api.flow_objects import CATCH_ALL, EXEMPT, flow_schemas, priority_levels
from minikube.api.flowcontrol_v1 import (
    ExemptPriorityLevelConfiguration,
    FlowSchema,
    FlowSchemaCondition,
    FlowSchemaSpec,
    LimitedPriorityLevelConfiguration,
    LimitResponse,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    PriorityLevelConfiguration,
    PriorityLevelConfigurationCondition,
    PriorityLevelConfigurationSpec,
    QueuingConfiguration,
    ResourcePolicyRule,
    ServiceAccountSubject,
    Subject,
)
from minikube.api.names import label_problems, subdomain_problems
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, not_supported, required

_LAST_PRECEDENCE, _MOST_QUEUES, _HASH_BITS = 10_000, 10_000_000, 60
_METHODS = ("ByNamespace", "ByUser")
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_ALL = "*"
Condition = FlowSchemaCondition | PriorityLevelConfigurationCondition


class FlowSchemaRules(Strategy[FlowSchema]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(self, new: FlowSchema, old: FlowSchema | None) -> Iterator[FieldError]:
        name, spec = new.metadata.name, new.spec
        yield from _precedence(spec, name)
        if spec.distinguisher_method is not None and spec.distinguisher_method.type not in _METHODS:
            yield not_supported("spec.distinguisherMethod.type", spec.distinguisher_method, _METHODS)
        level, path = spec.priority_level_configuration.name, "spec.priorityLevelConfiguration.name"
        if not level:
            yield required(path, "must reference a priority level")
        for why in subdomain_problems(level) if level else ():
            yield invalid(path, level, why)
        for index, rule in enumerate(spec.rules):
            yield from _rules(rule, at("spec.rules", index))
        fixed = {one.metadata.name: one.spec for one in flow_schemas() if one.metadata.name in (EXEMPT, CATCH_ALL)}
        if name in fixed and _scoped(spec) != _scoped(fixed[name]):
            yield invalid("spec", spec, f"spec of '{name}' must equal the fixed value")
        yield from _conditions(new.status.conditions)

    def validate_status(self, new: FlowSchema, old: FlowSchema) -> Iterator[FieldError]:
        yield from _conditions(new.status.conditions)


def _scoped(spec: FlowSchemaSpec) -> FlowSchemaSpec:
    """The same with clusterScope said, since false is as good as nothing."""
    rules = [
        replace(
            rule,
            resource_rules=tuple(
                replace(one, cluster_scope=bool(one.cluster_scope)) for one in rule.resource_rules
            ),
        )
        for rule in spec.rules
    ]
    return replace(spec, rules=tuple(rules))


def _precedence(spec: FlowSchemaSpec, name: str) -> Iterator[FieldError]:
    path, given = "spec.matchingPrecedence", spec.matching_precedence or 0
    if given <= 0:
        yield invalid(path, given, "must be a positive value")
    if given > _LAST_PRECEDENCE:
        yield invalid(path, given, f"must not be greater than {_LAST_PRECEDENCE}")
    if given == 1 and name != EXEMPT:
        yield invalid(path, given, "only the schema named 'exempt' may have matchingPrecedence 1")


def _rules(rule: PolicyRulesWithSubjects, path: str) -> Iterator[FieldError]:
    if not rule.subjects:
        yield required(f"{path}.subjects", "subjects must contain at least one value")
    for index, subject in enumerate(rule.subjects):
        yield from _subject(subject, at(f"{path}.subjects", index))
    if not rule.resource_rules and not rule.non_resource_rules:
        yield required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for index, one in enumerate(rule.resource_rules):
        yield from _resources(one, at(f"{path}.resourceRules", index))
    for index, other in enumerate(rule.non_resource_rules):
        yield from _paths(other, at(f"{path}.nonResourceRules", index))


def _subject(subject: Subject, path: str) -> Iterator[FieldError]:
    if subject.kind not in _SUBJECTS:
        yield not_supported(f"{path}.kind", subject.kind, _SUBJECTS)
        return
    given = {"Group": subject.group, "ServiceAccount": subject.service_account, "User": subject.user}
    meant, where = given.pop(subject.kind), f"{path}.{_SUBJECTS[subject.kind]}"
    if meant is None:
        field = _SUBJECTS[subject.kind]
        yield required(where, f"{field} is required when subject kind is '{subject.kind}'")
    elif isinstance(meant, ServiceAccountSubject):
        yield from _account(meant, where)
    elif not meant.name:
        yield required(f"{where}.name")
    for kind, other in given.items():
        if other is not None:
            field = _SUBJECTS[kind]
            yield forbidden(f"{path}.{field}", f"{field} is forbidden when subject kind is not '{kind}'")


def _account(account: ServiceAccountSubject, path: str) -> Iterator[FieldError]:
    if not account.name:
        yield required(f"{path}.name")
    for why in subdomain_problems(account.name) if account.name not in ("", _ALL) else ():
        yield invalid(f"{path}.name", account.name, why)
    if not account.namespace:
        yield required(f"{path}.namespace", "must specify namespace for service account")
    for why in label_problems(account.namespace) if account.namespace else ():
        yield invalid(f"{path}.namespace", account.namespace, why)


def _alone(values: Sequence[str], path: str, what: str) -> Iterator[FieldError]:
    if _ALL in values and len(values) > 1:
        yield invalid(path, values, f"if '*' is present, must not specify other {what}")


def _verbs(verbs: Sequence[str], path: str) -> Iterator[FieldError]:
    if not verbs:
        yield required(path, "verbs must contain at least one value")
    yield from _alone(verbs, path, "verbs")
    if _ALL not in verbs and not set(verbs) <= set(_VERBS):
        yield not_supported(path, verbs, _VERBS)


def _resources(rule: ResourcePolicyRule, path: str) -> Iterator[FieldError]:
    yield from _verbs(rule.verbs, f"{path}.verbs")
    if not rule.api_groups:
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    yield from _alone(rule.api_groups, f"{path}.apiGroups", "api groups")
    if not rule.resources:
        yield required(f"{path}.resources", "resource rules must supply at least one resource")
    yield from _alone(rule.resources, f"{path}.resources", "resources")
    where = f"{path}.namespaces"
    if not rule.namespaces and not rule.cluster_scope:
        why = "resource rules that are not cluster scoped must supply at least one namespace"
        yield required(where, why)
    yield from _alone(rule.namespaces, where, "namespaces")
    for index, namespace in enumerate(rule.namespaces if _ALL not in rule.namespaces else ()):
        for why in label_problems(namespace):
            yield invalid(
                at(where, index), namespace, f"each member of this list must be '*' or a DNS-1123 label; {why}"
            )


def _paths(rule: NonResourcePolicyRule, path: str) -> Iterator[FieldError]:
    yield from _verbs(rule.verbs, f"{path}.verbs")
    where = f"{path}.nonResourceURLs"
    if not rule.non_resource_urls:
        yield required(where, "nonResourceURLs must contain at least one value")
    yield from _alone(rule.non_resource_urls, where, "non-resource URLs")
    for index, one in enumerate(rule.non_resource_urls if _ALL not in rule.non_resource_urls else ()):
        if why := _path_problem(one):
            yield invalid(at(where, index), one, why)


def _path_problem(path: str) -> str:
    if not path:
        return "must not be empty"
    if path == "/":
        return ""
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    if path.count("*") > 1 or ("*" in path and not path.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""


def _conditions(given: Sequence[Condition]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, one in enumerate(given):
        where = f"{at('status.conditions', index)}.type"
        if one.type in seen:
            yield duplicate(where, one.type)
        seen.add(one.type)
        if not one.type:
            yield required(where, "must not be empty")


class PriorityLevelRules(Strategy[PriorityLevelConfiguration]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(
        self, new: PriorityLevelConfiguration, old: PriorityLevelConfiguration | None
    ) -> Iterator[FieldError]:
        name, spec = new.metadata.name, new.spec
        if (name == EXEMPT) != (spec.type == "Exempt"):
            yield invalid("spec.type", spec.type, "type must be 'Exempt' if and only if name is 'exempt'")
        yield from _level(spec)
        fixed = {one.metadata.name: one.spec for one in priority_levels()}
        if name == EXEMPT and replace(spec, exempt=None) != replace(fixed[name], exempt=None):
            yield invalid(
                "spec", spec, f"spec of '{name}' except the 'spec.exempt' field must equal the fixed value"
            )
        if name == CATCH_ALL and spec != fixed[name]:
            yield invalid("spec", spec, f"spec of '{name}' must equal the fixed value")
        yield from _conditions(new.status.conditions)

    def validate_status(
        self, new: PriorityLevelConfiguration, old: PriorityLevelConfiguration
    ) -> Iterator[FieldError]:
        yield from _conditions(new.status.conditions)


def _level(spec: PriorityLevelConfigurationSpec) -> Iterator[FieldError]:
    if spec.type == "Exempt":
        if spec.limited is not None:
            yield forbidden("spec.limited", "must be nil if the type is not Limited")
        if spec.exempt is not None:
            yield from _shares(spec.exempt, "spec.exempt")
    elif spec.type == "Limited":
        if spec.exempt is not None:
            yield forbidden("spec.exempt", "must be nil if the type is Limited")
        if spec.limited is None:
            yield required("spec.limited", "must not be empty when type is Limited")
        else:
            yield from _shares(spec.limited, "spec.limited")
            yield from _limited(spec.limited, "spec.limited")
    else:
        yield not_supported("spec.type", spec.type, ("Exempt", "Limited"))


def _shares(
    of: ExemptPriorityLevelConfiguration | LimitedPriorityLevelConfiguration, path: str
) -> Iterator[FieldError]:
    shares, lendable = of.nominal_concurrency_shares, of.lendable_percent
    if shares is not None and shares < 0:
        yield invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")
    if lendable is not None and not 0 <= lendable <= 100:
        yield invalid(f"{path}.lendablePercent", lendable, "must be between 0 and 100, inclusive")


def _limited(limited: LimitedPriorityLevelConfiguration, path: str) -> Iterator[FieldError]:
    borrowed = limited.borrowing_limit_percent
    if borrowed is not None and borrowed < 0:
        yield invalid(f"{path}.borrowingLimitPercent", borrowed, "if specified, must be a non-negative integer")
    yield from _response(limited.limit_response, f"{path}.limitResponse")


def _response(response: LimitResponse, path: str) -> Iterator[FieldError]:
    if response.type == "Reject":
        if response.queuing is not None:
            yield forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif response.type == "Queue":
        if response.queuing is None:
            yield required(f"{path}.queuing", "must not be empty if limited.limitResponse.type is Limited")
        else:
            yield from _queuing(response.queuing, f"{path}.queuing")
    else:
        yield not_supported(f"{path}.type", response.type, ("Queue", "Reject"))


def _queuing(given: QueuingConfiguration, path: str) -> Iterator[FieldError]:
    length, queues, hand = given.queue_length_limit or 0, given.queues or 0, given.hand_size or 0
    if length <= 0:
        yield invalid(f"{path}.queueLengthLimit", length, "must be positive")
    if queues <= 0:
        yield invalid(f"{path}.queues", queues, "must be positive")
    elif queues > _MOST_QUEUES:
        yield invalid(f"{path}.queues", queues, f"must not be greater than {_MOST_QUEUES}")
    where = f"{path}.handSize"
    if hand <= 0:
        yield invalid(where, hand, "must be positive")
    elif hand > queues:
        yield invalid(where, hand, f"should not be greater than queues ({queues})")
    elif math.ceil(math.log2(queues) * hand) > _HASH_BITS:
        needed = f"required entropy bits of deckSize {queues} and handSize {hand}"
        yield invalid(where, hand, f"{needed} should not be greater than {_HASH_BITS}")
