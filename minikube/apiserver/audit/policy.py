"""An audit policy: the first rule that matches a request says how much of it is written down.

Rules: kubernetes.io/docs/tasks/debug/debug-cluster/audit and k8s.io/apiserver/pkg/audit/policy.
"""

from __future__ import annotations

import enum
from pathlib import Path

import msgspec
import yaml

from minikube.apiserver.request_info import RequestInfo
from minikube.auth.base import User
from minikube.settings import SettingsError


class Level(enum.IntEnum):
    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3


class Stage(enum.Enum):
    REQUEST_RECEIVED = "RequestReceived"
    RESPONSE_STARTED = "ResponseStarted"
    RESPONSE_COMPLETE = "ResponseComplete"
    PANIC = "Panic"


LEVELS = {
    "None": Level.NONE,
    "Metadata": Level.METADATA,
    "Request": Level.REQUEST,
    "RequestResponse": Level.REQUEST_RESPONSE,
}
NAMES = {level: name for name, level in LEVELS.items()}


class GroupResources(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    level: str
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool | None = None


class Policy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    api_version: str
    kind: str
    rules: tuple[Rule, ...]
    metadata: dict[str, object] = {}
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """What is written down of one request."""

    level: Level = Level.NONE
    omitted: frozenset[Stage] = frozenset()
    omit_managed_fields: bool = False


SILENCE = Verdict()


def read_policy(path: Path) -> Policy:
    """Raises SettingsError."""
    try:
        policy = msgspec.convert(yaml.safe_load(path.read_text()), Policy)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path} is no audit policy: {error}") from error
    if (policy.api_version, policy.kind) != ("audit.k8s.io/v1", "Policy"):
        raise SettingsError(f"{path} is no audit policy: it says {policy.api_version}, {policy.kind}")
    if not policy.rules:
        raise SettingsError(f"{path}: an audit policy has at least one rule")
    for rule in policy.rules:
        if rule.level not in LEVELS:
            raise SettingsError(f"{path}: a rule's level is {', '.join(LEVELS)}, not {rule.level}")
    return policy


def judge(policy: Policy, user: User | None, info: RequestInfo) -> Verdict:
    """`user` None: nobody was authenticated."""
    for rule in policy.rules:
        if _matches(rule, user, info):
            managed = rule.omit_managed_fields
            return Verdict(
                LEVELS[rule.level],
                frozenset((*policy.omit_stages, *rule.omit_stages)),
                policy.omit_managed_fields if managed is None else managed,
            )
    return SILENCE


def _matches(rule: Rule, user: User | None, info: RequestInfo) -> bool:
    if rule.users and (user is None or user.name not in rule.users):
        return False
    if rule.user_groups and (user is None or not set(rule.user_groups) & set(user.groups)):
        return False
    if rule.verbs and info.verb not in rule.verbs:
        return False
    if rule.namespaces or rule.resources:
        return _matches_resource(rule, info)
    if rule.non_resource_urls:
        return not info.resource and any(_matches_path(pattern, info.path) for pattern in rule.non_resource_urls)
    return True


def _matches_resource(rule: Rule, info: RequestInfo) -> bool:
    if not info.resource or (rule.namespaces and info.namespace not in rule.namespaces):
        return False
    whole = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    wanted = {whole, "*"}
    if info.subresource:
        wanted |= {f"{info.resource}/*", f"*/{info.subresource}"}
    return not rule.resources or any(
        one.group == info.group
        and (not one.resources or bool(wanted & set(one.resources)))
        and (not one.resource_names or info.name in one.resource_names)
        for one in rule.resources
    )


def _matches_path(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))
