"""What roles and bindings may say (pkg/apis/rbac/validation)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minikube.api.names import path_segment_problems, subdomain_problems
from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject
from minikube.errors import FieldError
from minikube.resources.base import Strategy
from minikube.resources.rules.invalid import at, invalid, not_supported, required
from minikube.resources.rules.labelling import label_selector

GROUP = "rbac.authorization.k8s.io"


def _rules(rules: Sequence[PolicyRule], *, namespaced: bool) -> Iterator[FieldError]:
    for index, rule in enumerate(rules):
        where = at("rules", index)
        if not rule.verbs:
            yield required(f"{where}.verbs", "verbs must contain at least one value")
        if rule.non_resource_urls:
            if namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                yield invalid(f"{where}.nonResourceURLs", rule.non_resource_urls, why)
            if rule.api_groups or rule.resources or rule.resource_names:
                why = "rules cannot apply to both regular resources and non-resource URLs"
                yield invalid(f"{where}.nonResourceURLs", rule.non_resource_urls, why)
            continue
        if not rule.api_groups:
            yield required(f"{where}.apiGroups", "resource rules must supply at least one api group")
        if not rule.resources:
            yield required(f"{where}.resources", "resource rules must supply at least one resource")


class RoleRules(Strategy[Role]):
    def name_problems(self, name: str) -> Iterator[str]:
        return path_segment_problems(name)

    def validate(self, new: Role, old: Role | None) -> Iterator[FieldError]:
        yield from _rules(new.rules, namespaced=True)


class ClusterRoleRules(Strategy[ClusterRole]):
    def name_problems(self, name: str) -> Iterator[str]:
        return path_segment_problems(name)

    def validate(self, new: ClusterRole, old: ClusterRole | None) -> Iterator[FieldError]:
        yield from _rules(new.rules, namespaced=False)
        if new.aggregation_rule is None:
            return
        if not new.aggregation_rule.cluster_role_selectors:
            why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            yield required("aggregationRule.clusterRoleSelectors", why)
        for index, selector in enumerate(new.aggregation_rule.cluster_role_selectors):
            yield from label_selector(selector, at("aggregationRule.clusterRoleSelectors", index))


def _subject(subject: Subject, path: str, *, namespaced: bool) -> Iterator[FieldError]:
    if not subject.name:
        yield required(f"{path}.name")
    if subject.kind == "ServiceAccount":
        for why in subdomain_problems(subject.name) if subject.name else ():
            yield invalid(f"{path}.name", subject.name, why)
        if subject.api_group:
            yield not_supported(f"{path}.apiGroup", subject.api_group, ("",))
        if not namespaced and not subject.namespace:
            yield required(f"{path}.namespace")
    elif subject.kind in ("User", "Group"):
        if subject.api_group != GROUP:
            yield not_supported(f"{path}.apiGroup", subject.api_group, (GROUP,))
    else:
        yield not_supported(f"{path}.kind", subject.kind, ("Group", "ServiceAccount", "User"))


def _binding(ref: RoleRef, subjects: Sequence[Subject], kinds: tuple[str, ...]) -> Iterator[FieldError]:
    if ref.api_group != GROUP:
        yield not_supported("roleRef.apiGroup", ref.api_group, (GROUP,))
    if ref.kind not in kinds:
        yield not_supported("roleRef.kind", ref.kind, kinds)
    if not ref.name:
        yield required("roleRef.name")
    else:
        for why in path_segment_problems(ref.name):
            yield invalid("roleRef.name", ref.name, why)
    for index, subject in enumerate(subjects):
        yield from _subject(subject, at("subjects", index), namespaced="Role" in kinds)


def _same_role(new: RoleRef, old: RoleRef) -> Iterator[FieldError]:
    if new != old:
        yield invalid("roleRef", new, "cannot change roleRef")


class RoleBindingRules(Strategy[RoleBinding]):
    def name_problems(self, name: str) -> Iterator[str]:
        return path_segment_problems(name)

    def validate(self, new: RoleBinding, old: RoleBinding | None) -> Iterator[FieldError]:
        yield from _binding(new.role_ref, new.subjects, ("ClusterRole", "Role"))
        if old is not None:
            yield from _same_role(new.role_ref, old.role_ref)


class ClusterRoleBindingRules(Strategy[ClusterRoleBinding]):
    def name_problems(self, name: str) -> Iterator[str]:
        return path_segment_problems(name)

    def validate(self, new: ClusterRoleBinding, old: ClusterRoleBinding | None) -> Iterator[FieldError]:
        yield from _binding(new.role_ref, new.subjects, ("ClusterRole",))
        if old is not None:
            yield from _same_role(new.role_ref, old.role_ref)
