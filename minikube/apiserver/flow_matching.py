"""Under which flow schema and priority level a request falls, and the headers that say so.

Rules: kubernetes staging/src/k8s.io/apiserver/pkg/util/flowcontrol/rule.go: of the schemas that match and whose
level exists the one with the lowest (matchingPrecedence, name).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from aiohttp import web

from minikube.api.flowcontrol_v1 import (
    FlowSchema,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    PriorityLevelConfiguration,
    ResourcePolicyRule,
    Subject,
)
from minikube.auth.base import Action, User
from minikube.client.base import Informers

SCHEMA_UID, LEVEL_UID = "X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid"
FLOW = web.RequestKey("flow", dict[str, str])
"""The key under which a request keeps these headers."""
REMEMBERED = 4096
ACCOUNT = "system:serviceaccount:"


class FlowSchemas:
    """Answers are remembered until a schema or level changes."""

    def __init__(self, informers: Informers) -> None:
        schemas, levels = informers.of(FlowSchema), informers.of(PriorityLevelConfiguration)
        self._schemas, self._levels = schemas.lister, levels.lister
        self._ordered: list[tuple[FlowSchema, PriorityLevelConfiguration]] | None = None
        self._known: dict[tuple[Any, ...], dict[str, str]] = {}
        schemas.add_handler(self._changed)
        levels.add_handler(self._changed)

    def headers(self, user: User, action: Action) -> dict[str, str]:
        """Empty when no schema matches."""
        question = (
            user.name, user.groups, action.verb, action.group, action.resource, action.subresource,
            action.namespace, action.path,
        )  # fmt: skip
        found = self._known.get(question)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[question] = self._headers(user, action)
        return found

    def _headers(self, user: User, action: Action) -> dict[str, str]:
        if self._ordered is None:
            self._ordered = self._in_order()
        for schema, level in self._ordered:
            if matches(schema, user, action):
                return {SCHEMA_UID: schema.metadata.uid, LEVEL_UID: level.metadata.uid}
        return {}

    def _in_order(self) -> list[tuple[FlowSchema, PriorityLevelConfiguration]]:
        found = []
        for schema in self._schemas.list():
            level = self._levels.get(schema.spec.priority_level_configuration.name)
            if level is not None:
                found.append((schema, level))
        return sorted(found, key=lambda one: (one[0].spec.matching_precedence or 0, one[0].metadata.name))

    def _changed(self, old: object, new: object) -> None:
        self._ordered = None
        self._known.clear()


def matches(schema: FlowSchema, user: User, action: Action) -> bool:
    return any(_rule_matches(rule, user, action) for rule in schema.spec.rules)


def _rule_matches(rule: PolicyRulesWithSubjects, user: User, action: Action) -> bool:
    if not any(_is_subject(subject, user) for subject in rule.subjects):
        return False
    if action.resource:
        return any(_on_resource(one, action) for one in rule.resource_rules)
    return any(_on_path(one, action) for one in rule.non_resource_rules)


def _is_subject(subject: Subject, user: User) -> bool:
    if subject.user is not None:
        return subject.user.name in ("*", user.name)
    if subject.group is not None:
        return subject.group.name == "*" or subject.group.name in user.groups
    account = subject.service_account
    if account is None:
        return False
    prefix = f"{ACCOUNT}{account.namespace}:"
    return user.name.startswith(prefix) if account.name == "*" else user.name == prefix + account.name


def _on_resource(rule: ResourcePolicyRule, action: Action) -> bool:
    resource = f"{action.resource}/{action.subresource}" if action.subresource else action.resource
    placed = _within(action.namespace, rule.namespaces) if action.namespace else bool(rule.cluster_scope)
    return (
        placed
        and _within(action.verb, rule.verbs)
        and _within(action.group, rule.api_groups)
        and _within(resource, rule.resources)
    )


def _on_path(rule: NonResourcePolicyRule, action: Action) -> bool:
    return _within(action.verb, rule.verbs) and any(
        url == action.path or (url.endswith("*") and action.path.startswith(url[:-1]))
        for url in rule.non_resource_urls
    )


def _within(value: str, allowed: Collection[str]) -> bool:
    return "*" in allowed or value in allowed
