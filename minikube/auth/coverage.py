"""Whether some rules grant everything that others do, and what they lack: the arithmetic of escalation checks.

Rules: k8s.io/component-helpers/auth/rbac/validation (Covers) and kubernetes pkg/registry/rbac/validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from minikube.api.rbac_v1 import PolicyRule


def uncovered(owned: Iterable[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The atoms of `wanted` (one verb, one resource, one name) that no rule of `owned` grants, in order."""
    rules = tuple(owned)
    return [atom for atom in dict.fromkeys(_atoms(wanted)) if not any(_rule_covers(rule, atom) for rule in rules)]


def compact(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Rules about the same one resource and name joined to one rule of several verbs; others as they are."""
    joined: dict[tuple[str, str, str], list[str]] = {}
    others = []
    for rule in rules:
        if rule.non_resource_urls or len(rule.api_groups) != 1 or len(rule.resources) != 1:
            others.append(rule)
            continue
        key = (rule.api_groups[0], rule.resources[0], rule.resource_names[0] if rule.resource_names else "")
        joined.setdefault(key, []).extend(rule.verbs)
    simple = [
        PolicyRule(
            api_groups=(group,), resources=(resource,), resource_names=(name,) if name else (), verbs=tuple(verbs)
        )
        for (group, resource, name), verbs in joined.items()
    ]
    return [*simple, *others]


def described(rule: PolicyRule) -> str:
    """As upstream prints a rule in a refusal: {APIGroups:[""], Resources:["pods"], Verbs:["get"]}."""
    fields = (
        ("APIGroups", rule.api_groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.non_resource_urls),
        ("ResourceNames", rule.resource_names),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:{quoted(values)}" for name, values in fields if values) + "}"


def quoted(values: Sequence[str]) -> str:
    """Go's %q of a slice: ["a" "b"]."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def _atoms(rules: Iterable[PolicyRule]) -> Iterator[PolicyRule]:
    for rule in rules:
        for url in rule.non_resource_urls:
            for verb in rule.verbs:
                yield PolicyRule(non_resource_urls=(url,), verbs=(verb,))
        for group in rule.api_groups:
            for resource in rule.resources:
                for verb in rule.verbs:
                    for name in rule.resource_names or ("",):
                        yield PolicyRule(
                            api_groups=(group,),
                            resources=(resource,),
                            resource_names=(name,) if name else (),
                            verbs=(verb,),
                        )


def _rule_covers(owned: PolicyRule, atom: PolicyRule) -> bool:
    if "*" not in owned.verbs and atom.verbs[0] not in owned.verbs:
        return False
    if atom.non_resource_urls:
        return any(_url_covers(pattern, atom.non_resource_urls[0]) for pattern in owned.non_resource_urls)
    if "*" not in owned.api_groups and atom.api_groups[0] not in owned.api_groups:
        return False
    if owned.resource_names and (not atom.resource_names or atom.resource_names[0] not in owned.resource_names):
        return False
    return _resources_cover(owned.resources, atom.resources[0])


def _resources_cover(owned: Sequence[str], resource: str) -> bool:
    """`*` covers all, `*/scale` the subresource of everything."""
    if "*" in owned or resource in owned:
        return True
    subresource = resource.partition("/")[2]
    return bool(subresource) and f"*/{subresource}" in owned


def _url_covers(pattern: str, url: str) -> bool:
    return pattern in ("*", url) or (pattern.endswith("*") and url.startswith(pattern.rstrip("*")))
