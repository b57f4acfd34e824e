"""The status of a CustomResourceDefinition: accepted names, stored versions and conditions.

Rules: apiextensions-apiserver's naming, establishing and API approval controllers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from minikube.api import time
from minikube.resources.base import ReadOnlyObj
from minikube.resources.rules.crd import APPROVAL, is_protected


def full_names(definition: ReadOnlyObj) -> dict[str, Any]:
    """The names it asks for, with those it left out."""
    names = dict(definition["spec"]["names"])
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    return names


def status_of(definition: ReadOnlyObj, taken: Iterable[ReadOnlyObj], now: datetime) -> dict[str, Any]:
    """What `status` should be; `taken` are the accepted names of the group's other definitions."""
    before = definition.get("status") or {}
    names, accepted = full_names(definition), dict(before.get("acceptedNames") or {})
    why = _conflict(names, taken)
    if why is None:
        accepted = names
    conditions = {one["type"]: one for one in before.get("conditions") or ()}
    _set(conditions, "NamesAccepted", why is None, *(why or ("NoConflicts", "no conflicts found")), now)
    established = why is None or conditions.get("Established", {}).get("status") == "True"
    reason = (
        ("InitialNamesAccepted", "the initial names have been accepted")
        if established
        else ("NotAccepted", "not all names are accepted")
    )
    _set(conditions, "Established", established, *reason, now)
    _approval(conditions, definition, now)
    accepted.setdefault("plural", "")
    accepted.setdefault("kind", "")
    return {
        "acceptedNames": accepted,
        "conditions": list(conditions.values()),
        "storedVersions": _stored_versions(definition, before),
    }


def established(definition: ReadOnlyObj) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def terminating(definition: ReadOnlyObj, *, done: bool, now: datetime) -> dict[str, Any]:
    """The status while instances are deleted, and when none is left."""
    status = dict(definition.get("status") or {})
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    told = (
        ("InstanceDeletionCompleted", "removed all instances")
        if done
        else ("InstanceDeletionInProgress", "CustomResource deletion is in progress")
    )
    _set(conditions, "Terminating", not done, *told, now)
    return {**status, "conditions": list(conditions.values())}


def _conflict(names: Mapping[str, Any], taken: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    """(reason, message) of the first name that another definition of the group has."""
    words: set[str] = set()
    kinds: set[str] = set()
    for other in taken:
        words |= {other.get("plural", ""), other.get("singular", ""), *(other.get("shortNames") or ())}
        kinds |= {other.get("kind", ""), other.get("listKind", "")}
    for field, known in (("plural", words), ("singular", words), ("kind", kinds), ("listKind", kinds)):
        if names[field] in known:
            return f"{field[0].upper()}{field[1:]}Conflict", f'"{names[field]}" is already in use'
    clash = [name for name in names.get("shortNames") or () if name in words]
    if clash:
        return "ShortNamesConflict", ", ".join(f'"{name}" is already in use' for name in clash)
    return None


def _approval(conditions: dict[str, Any], definition: ReadOnlyObj, now: datetime) -> None:
    """Groups of the Kubernetes community say where their API was approved."""
    if not is_protected(definition["spec"]["group"]):
        return
    given = (definition["metadata"].get("annotations") or {}).get(APPROVAL, "")
    type = "KubernetesAPIApprovalPolicyConformant"
    if given.startswith(("http://", "https://")):
        _set(conditions, type, True, "ApprovedAnnotation", f"approved in {given}", now)
    elif given.startswith("unapproved"):
        _set(conditions, type, False, "UnapprovedAnnotation", f'not approved: "{given}"', now)
    else:
        why = f'protected groups must have approval annotation "{APPROVAL}"'
        _set(conditions, type, False, "MissingAnnotation" if not given else "InvalidAnnotation", why, now)


def _set(conditions: dict[str, Any], type: str, holds: bool, reason: str, message: str, now: datetime) -> None:
    """In place; the transition time changes with the status only."""
    wanted = {"type": type, "status": "True" if holds else "False", "reason": reason, "message": message}
    old = conditions.get(type)
    kept = old is not None and old["status"] == wanted["status"]
    at = old["lastTransitionTime"] if old is not None and kept else time.text(now)
    conditions[type] = {"lastTransitionTime": at, **wanted}


def _stored_versions(definition: ReadOnlyObj, before: Mapping[str, Any]) -> list[str]:
    storage = next(version["name"] for version in definition["spec"]["versions"] if version.get("storage"))
    versions = list(before.get("storedVersions") or ())
    return versions if storage in versions else [*versions, storage]
