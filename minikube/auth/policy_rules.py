"""Rules of roles in few words: `rule("get list watch", "core apps", "pods deployments")`."""

from __future__ import annotations

from minikube.api.rbac_v1 import PolicyRule

GROUP = "rbac.authorization.k8s.io"
CORE = "core"
"""How the group "" is written here."""
READ = "get list watch"
CHANGE = "create delete deletecollection patch update"
READ_UPDATE = f"{READ} patch update"


def rule(verbs: str, groups: str, resources: str, *names: str) -> PolicyRule:
    """Words separated by spaces; `names` are the only objects it is about, if any are given."""
    return PolicyRule(
        api_groups=tuple("" if group == CORE else group for group in groups.split()),
        resources=tuple(sorted(resources.split())),
        resource_names=names,
        verbs=tuple(sorted(verbs.split())),
    )


def paths(*urls: str) -> PolicyRule:
    """Reading these non-resource URLs."""
    return PolicyRule(non_resource_urls=tuple(sorted(urls)), verbs=("get",))


def everything() -> tuple[PolicyRule, PolicyRule]:
    return rule("*", "*", "*"), PolicyRule(non_resource_urls=("*",), verbs=("*",))


EVENTS = rule("create patch update", "core events.k8s.io", "events")
