"""Discovery documents, legacy and aggregated, from the kinds that are served. Rules: apidiscovery.k8s.io/v2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from minikube.api.names import version_order
from minikube.resources.base import Kind
from minikube.resources.priorities import CUSTOM, GROUPS

GROUP_ORDER = ("", "apiregistration.k8s.io", *(group for group in GROUPS if group))
SUBRESOURCE_KINDS: dict[str, tuple[str, str, str]] = {
    "pods/binding": ("", "v1", "Binding"),
    "pods/eviction": ("policy", "v1", "Eviction"),
    "serviceaccounts/token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "pods/attach": ("", "v1", "PodAttachOptions"),
    "pods/exec": ("", "v1", "PodExecOptions"),
    "pods/portforward": ("", "v1", "PodPortForwardOptions"),
    "pods/proxy": ("", "v1", "PodProxyOptions"),
    "services/proxy": ("", "v1", "ServiceProxyOptions"),
    "nodes/proxy": ("", "v1", "NodeProxyOptions"),
}
CONNECT = ("attach", "exec", "portforward", "proxy")


class RemoteVersion(msgspec.Struct, frozen=True):
    """A group version that somebody else serves: its APIResources, as it said them last."""

    group: str
    version: str
    priority: int
    """Of the group, among those that are not built in."""
    resources: Sequence[Mapping[str, Any]]
    fresh: bool


def groups(kinds: Sequence[Kind], remote: Sequence[RemoteVersion] = ()) -> dict[str, list[str]]:
    """group -> its versions, preferred first, in the order people know."""
    found: dict[str, list[str]] = {}
    served = [(kind.resource.group, kind.resource.version) for kind in kinds]
    for group, version in (*served, *((each.group, each.version) for each in remote)):
        versions = found.setdefault(group, [])
        if version not in versions:
            versions.append(version)
    for versions in found.values():
        versions.sort(key=version_order)
    order = {group: index for index, group in enumerate(GROUP_ORDER)}
    weight = {each.group: each.priority for each in remote}
    return dict(
        sorted(found.items(), key=lambda item: (order.get(item[0], 1000), -weight.get(item[0], CUSTOM[0]), item[0]))
    )


ENDING = frozenset({"delete", "deletecollection", "get", "list", "watch"})
"""What may be done with the resources of a definition that is being deleted."""


def own_verbs(kind: Kind) -> list[str]:
    return sorted(ENDING.intersection(kind.verbs) if kind.terminating else kind.verbs)


def verbs_of(kind: Kind, subresource: str) -> list[str]:
    if subresource in ("status", "scale"):
        return ["get", "patch", "update"]
    if subresource in CONNECT:
        verbs = ["create", "get"]
        return ["create", "delete", "get", "patch", "update"] if subresource == "proxy" else verbs
    if subresource == "log":
        return ["get"]
    if subresource in ("ephemeralcontainers", "resize", "approval"):
        return ["get", "patch", "update"]
    if subresource == "finalize":
        return ["update"]
    return ["create"]


def subresources_of(kind: Kind) -> list[str]:
    found = list(kind.subresources)
    if kind.status:
        found.append("status")
    if kind.scale is not None:
        found.append("scale")
    return sorted(set(found))


def subresource_kind(kind: Kind, subresource: str) -> tuple[str, str, str]:
    if subresource == "scale":
        return "autoscaling", "v1", "Scale"
    resource = kind.resource
    own = (resource.group, resource.version, resource.kind)
    return SUBRESOURCE_KINDS.get(f"{resource.plural}/{subresource}", own)


def api_versions(address: str) -> dict[str, Any]:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def api_group_list(kinds: Sequence[Kind], remote: Sequence[RemoteVersion] = ()) -> dict[str, Any]:
    found = [api_group(group, versions) for group, versions in groups(kinds, remote).items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def api_group(group: str, versions: Sequence[str], *, alone: bool = False) -> dict[str, Any]:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    head = {"kind": "APIGroup", "apiVersion": "v1"} if alone else {}
    return {**head, "name": group, "versions": listed, "preferredVersion": listed[0]}


def api_resource_list(kinds: Sequence[Kind], group: str, version: str) -> dict[str, Any] | None:
    """None when there is no such group version."""
    resources: list[dict[str, Any]] = []
    for kind in sorted(kinds, key=lambda kind: kind.resource.plural):
        resource = kind.resource
        if (resource.group, resource.version) != (group, version):
            continue
        entry: dict[str, Any] = {
            "name": resource.plural,
            "singularName": kind.singular or resource.kind.lower(),
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": own_verbs(kind),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        resources.append(entry)
        for subresource in subresources_of(kind):
            sub_group, sub_version, sub_kind = subresource_kind(kind, subresource)
            sub: dict[str, Any] = {
                "name": f"{resource.plural}/{subresource}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": sub_kind,
                "verbs": verbs_of(kind, subresource),
            }
            if (sub_group, sub_version) != (group, version):
                sub["group"], sub["version"] = sub_group, sub_version
            resources.append(sub)
    if not resources:
        return None
    api_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def aggregated(
    kinds: Sequence[Kind], *, core: bool, version: str = "v2", remote: Sequence[RemoteVersion] = ()
) -> dict[str, Any]:
    """APIGroupDiscoveryList of /api (core) or /apis."""
    items = []
    elsewhere = {(each.group, each.version): each for each in remote}
    for group, versions in groups(kinds, remote).items():
        if (group == "") is not core:
            continue
        items.append(
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    _remote_version(elsewhere[group, one])
                    if (group, one) in elsewhere
                    else {
                        "version": one,
                        "freshness": "Current",
                        "resources": [
                            _aggregated_resource(kind)
                            for kind in sorted(kinds, key=lambda kind: kind.resource.plural)
                            if (kind.resource.group, kind.resource.version) == (group, one)
                        ],
                    }
                    for one in versions
                ],
            }
        )
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _remote_version(served: RemoteVersion) -> dict[str, Any]:
    """From its legacy discovery document, whose subresources are entries of their own."""
    found: dict[str, dict[str, Any]] = {}
    for each in served.resources:
        name, _, subresource = each["name"].partition("/")
        own = {
            "group": each.get("group") or served.group,
            "version": each.get("version") or served.version,
            "kind": each["kind"],
        }
        if subresource:
            sub = {"subresource": subresource, "responseKind": own, "verbs": each["verbs"]}
            parent = found.setdefault(name, {"resource": name, "scope": _scope(each), "verbs": []})
            parent.setdefault("subresources", []).append(sub)
            continue
        known = found.get(name, {})
        more = {field: each[field] for field in ("shortNames", "categories") if each.get(field)}
        found[name] = {
            **known,
            "resource": name,
            "responseKind": own,
            "scope": _scope(each),
            "singularResource": each.get("singularName", ""),
            "verbs": each["verbs"],
            **more,
        }
    freshness = "Current" if served.fresh else "Stale"
    return {"version": served.version, "freshness": freshness, "resources": list(found.values())}


def _scope(resource: Mapping[str, Any]) -> str:
    return "Namespaced" if resource.get("namespaced") else "Cluster"


def _aggregated_resource(kind: Kind) -> dict[str, Any]:
    resource = kind.resource
    out: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": kind.singular or resource.kind.lower(),
        "verbs": own_verbs(kind),
    }
    if kind.short_names:
        out["shortNames"] = list(kind.short_names)
    if kind.categories:
        out["categories"] = list(kind.categories)
    subresources = []
    for subresource in subresources_of(kind):
        group, version, name = subresource_kind(kind, subresource)
        subresources.append(
            {
                "subresource": subresource,
                "responseKind": {"group": group, "version": version, "kind": name},
                "verbs": verbs_of(kind, subresource),
            }
        )
    if subresources:
        out["subresources"] = subresources
    return out
