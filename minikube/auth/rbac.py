"""Role-based access control over live roles and bindings, found by subject in an index.

Rules: kubernetes.io/docs/reference/access-authn-authz/rbac and kubernetes plugin/pkg/auth/authorizer/rbac.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject
from minikube.auth.base import MASTERS, Action, Decision, User
from minikube.auth.policy_rules import GROUP, everything
from minikube.client.base import Informers

BY_SUBJECT = "subject"
EVERYTHING = everything()
AnyBinding = ClusterRoleBinding | RoleBinding


class RbacAuthorizer:
    """Masters may do everything, everybody else what a binding grants."""

    def __init__(self, informers: Informers) -> None:
        cluster_bindings, bindings = informers.of(ClusterRoleBinding), informers.of(RoleBinding)
        cluster_bindings.add_index(BY_SUBJECT, subject_keys)
        bindings.add_index(BY_SUBJECT, subject_keys)
        self._cluster_bindings = cluster_bindings.lister
        self._bindings = bindings.lister
        self._cluster_roles = informers.of(ClusterRole).lister
        self._roles = informers.of(Role).lister

    def authorize(self, user: User, action: Action) -> Decision:
        """A refusal's reason names the roles that bindings of this user refer to and nobody has made."""
        if MASTERS in user.groups:
            return Decision(True)
        missing = []
        asked: set[tuple[str, str]] = set()
        for binding, namespace in self._bindings_of(user, action.namespace):
            role = (binding.role_ref.kind, binding.role_ref.name)
            if role in asked:
                continue
            asked.add(role)
            rules = self.rules_of_role(binding.role_ref, namespace)
            if rules is None:
                missing.append(_no_role(binding.role_ref))
            elif any(rule_allows(rule, action) for rule in rules):
                return Decision(True, f"RBAC: allowed by {_described(binding, user)}")
        if not missing:
            return Decision(False)
        told = missing[0] if len(missing) == 1 else f"[{', '.join(dict.fromkeys(missing))}]"
        return Decision(False, f"RBAC: {told}")

    def rules_of(self, user: User, namespace: str) -> list[PolicyRule]:
        """Everything the user may do in a namespace (cluster-wide grants included)."""
        if MASTERS in user.groups:
            return list(EVERYTHING)
        found: list[PolicyRule] = []
        for binding, scope in self._bindings_of(user, namespace):
            found += self.rules_of_role(binding.role_ref, scope) or ()
        return found

    def rules_of_role(self, reference: RoleRef, namespace: str) -> tuple[PolicyRule, ...] | None:
        """None: there is no such role. `namespace` is the binding's, empty for a ClusterRoleBinding."""
        role: ClusterRole | Role | None
        if reference.kind == "ClusterRole":
            role = self._cluster_roles.get(reference.name)
        else:
            role = self._roles.get(reference.name, namespace)
        return None if role is None else role.rules

    def _bindings_of(self, user: User, namespace: str) -> Iterator[tuple[AnyBinding, str]]:
        """With the namespace that each one's role is looked up in."""
        keys = [f"u:{user.name}", *(f"g:{group}" for group in user.groups)]
        for key in keys:
            for binding in self._cluster_bindings.by_index(BY_SUBJECT, f"/{key}"):
                yield binding, ""
        if namespace:
            for key in keys:
                for local in self._bindings.by_index(BY_SUBJECT, f"{namespace}/{key}"):
                    yield local, namespace


def subject_keys(obj: AnyBinding) -> Iterable[str]:
    """<namespace>/u:<user> or <namespace>/g:<group> for each subject; a service account is the user it
    authenticates as."""
    scope = obj.metadata.namespace
    found = set()
    for subject in obj.subjects:
        if subject.kind == "Group":
            found.add(f"{scope}/g:{subject.name}")
        elif subject.kind == "User":
            found.add(f"{scope}/u:{subject.name}")
        elif subject.kind == "ServiceAccount":
            found.add(f"{scope}/u:{_account(subject, scope)}")
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


def _resource_matches(resources: tuple[str, ...], plural: str, subresource: str) -> bool:
    if "*" in resources:
        return True
    if not subresource:
        return plural in resources
    return f"{plural}/{subresource}" in resources or f"*/{subresource}" in resources


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def _account(subject: Subject, namespace: str) -> str:
    return f"system:serviceaccount:{subject.namespace or namespace}:{subject.name}"


def _no_role(role: RoleRef) -> str:
    return f'{role.kind.lower()}.{GROUP} "{role.name}" not found'


def _described(binding: AnyBinding, user: User) -> str:
    scope = binding.metadata.namespace
    subject = next(one for one in binding.subjects if _is(one, user, scope))
    name = f"{binding.metadata.name}/{scope}" if scope else binding.metadata.name
    who = f"{subject.name}/{subject.namespace or scope}" if subject.kind == "ServiceAccount" else subject.name
    role = binding.role_ref
    return f'{binding.kind} "{name}" of {role.kind} "{role.name}" to {subject.kind} "{who}"'


def _is(subject: Subject, user: User, namespace: str) -> bool:
    if subject.kind == "Group":
        return subject.name in user.groups
    return user.name == (subject.name if subject.kind == "User" else _account(subject, namespace))
