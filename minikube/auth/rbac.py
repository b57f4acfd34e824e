"""Role-based access control over live roles and bindings, found by subject in an index.

Rules: kubernetes.io/docs/reference/access-authn-authz/rbac and k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef
from minikube.api.selectors import compile_selector
from minikube.auth.base import MASTERS, Action, Decision, User
from minikube.client.base import Informers

NODES = "system:nodes"
BY_SUBJECT = "subject"


class RbacAuthorizer:
    """Masters may do everything; so may nodes, everybody else what a binding grants."""

    def __init__(self, informers: Informers) -> None:
        cluster_bindings, bindings = informers.of(ClusterRoleBinding), informers.of(RoleBinding)
        cluster_bindings.add_index(BY_SUBJECT, subject_keys)
        bindings.add_index(BY_SUBJECT, subject_keys)
        self._cluster_bindings = cluster_bindings.lister
        self._bindings = bindings.lister
        self._cluster_roles = informers.of(ClusterRole).lister
        self._roles = informers.of(Role).lister

    def authorize(self, user: User, action: Action) -> Decision:
        if MASTERS in user.groups or NODES in user.groups:
            return Decision(True)
        for why, rules in self._granted(user, action.namespace):
            if any(rule_allows(rule, action) for rule in rules):
                return Decision(True, why)
        return Decision(False)

    def rules_of(self, user: User, namespace: str) -> list[PolicyRule]:
        """Everything the user may do in a namespace (cluster-wide grants included)."""
        if MASTERS in user.groups or NODES in user.groups:
            return list(EVERYTHING)
        return [rule for _, rules in self._granted(user, namespace) for rule in rules]

    def rules_of_role(self, reference: RoleRef, namespace: str) -> tuple[PolicyRule, ...] | None:
        """None: there is no such role."""
        if reference.kind == "ClusterRole":
            role = self._cluster_roles.get(reference.name)
            return None if role is None else self._with_aggregated(role)
        found = self._roles.get(reference.name, namespace)
        return None if found is None else found.rules

    def _granted(self, user: User, namespace: str) -> Iterator[tuple[str, tuple[PolicyRule, ...]]]:
        keys = [f"u:{user.name}", *(f"g:{group}" for group in user.groups)]
        for key in keys:
            for binding in self._cluster_bindings.by_index(BY_SUBJECT, key):
                rules = self.rules_of_role(binding.role_ref, "")
                if rules:
                    yield _reason("ClusterRoleBinding", binding.metadata.name, binding.role_ref, key), rules
            if not namespace:
                continue
            for local in self._bindings.by_index(BY_SUBJECT, key):
                if local.metadata.namespace != namespace:
                    continue
                rules = self.rules_of_role(local.role_ref, namespace)
                if rules:
                    name = f"{local.metadata.name}/{namespace}"
                    yield _reason("RoleBinding", name, local.role_ref, key), rules

    def _with_aggregated(self, role: ClusterRole) -> tuple[PolicyRule, ...]:
        if role.aggregation_rule is None:
            return role.rules
        rules = list(role.rules)
        for selector in role.aggregation_rule.cluster_role_selectors:
            matches = compile_selector(selector)
            for other in self._cluster_roles.list():
                if other.metadata.name != role.metadata.name and matches.matches(other.metadata.labels):
                    rules += [rule for rule in other.rules if rule not in rules]
        return tuple(rules)


EVERYTHING = (
    PolicyRule(api_groups=("*",), resources=("*",), verbs=("*",)),
    PolicyRule(non_resource_urls=("*",), verbs=("*",)),
)


def subject_keys(obj: ClusterRoleBinding | RoleBinding) -> Iterable[str]:
    """u:<user> or g:<group> for each subject; a service account is the user it authenticates as."""
    found = set()
    for subject in obj.subjects:
        if subject.kind == "User":
            found.add(f"u:{subject.name}")
        elif subject.kind == "Group":
            found.add(f"g:{subject.name}")
        elif subject.kind == "ServiceAccount":
            namespace = subject.namespace or obj.metadata.namespace
            found.add(f"u:system:serviceaccount:{namespace}:{subject.name}")
    return found


def rule_allows(rule: PolicyRule, action: Action) -> bool:
    if "*" not in rule.verbs and action.verb not in rule.verbs:
        return False
    if action.path:
        return any(_path_matches(pattern, action.path) for pattern in rule.non_resource_urls)
    return (
        ("*" in rule.api_groups or action.group in rule.api_groups)
        and _resource_matches(rule.resources, action.resource, action.subresource)
        and (not rule.resource_names or action.name in rule.resource_names)
    )


def covers(granted: Iterable[PolicyRule], wanted: PolicyRule) -> bool:
    """Whether everything in `wanted` is already granted (component-helpers/auth/rbac/validation.Covers)."""
    rules = tuple(granted)
    for path in wanted.non_resource_urls:
        for verb in wanted.verbs:
            if not any(
                ("*" in rule.verbs or verb in rule.verbs)
                and any(_path_matches(pattern, path) for pattern in rule.non_resource_urls)
                for rule in rules
            ):
                return False
    for group in wanted.api_groups:
        for resource in wanted.resources:
            plural, _, subresource = resource.partition("/")
            for name in wanted.resource_names or ("",):
                for verb in wanted.verbs:
                    action = Action(verb, group, "", plural, subresource, "", name)
                    if not any(rule_allows(rule, action) for rule in rules):
                        return False
    return True


def _resource_matches(resources: tuple[str, ...], plural: str, subresource: str) -> bool:
    if "*" in resources:
        return True
    if not subresource:
        return plural in resources
    return f"{plural}/{subresource}" in resources or f"*/{subresource}" in resources


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def _reason(kind: str, name: str, role: RoleRef, key: str) -> str:
    subject = ("User " if key.startswith("u:") else "Group ") + f'"{key[2:]}"'
    return f'RBAC: allowed by {kind} "{name}" of {role.kind} "{role.name}" to {subject}'
