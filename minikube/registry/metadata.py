"""What the registry does with the metadata of every kind: checks it and stamps it.

Rules: k8s.io/apimachinery validation.ValidateObjectMeta(Update), apiserver rest.BeforeCreate/BeforeUpdate.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from minikube.api import time
from minikube.api.names import label_value_problems, qualified_name_problems
from minikube.errors import BadRequest, FieldError
from minikube.registry.base import Request
from minikube.resources.base import Kind, Obj, ReadOnlyObj

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
MAX_ANNOTATIONS = 256 * 1024
COLLECTIONS = ("labels", "annotations", "ownerReferences", "finalizers", "managedFields")
SYSTEM_OWNED = (
    "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation",
)  # fmt: skip


def generated_name(prefix: str) -> str:
    """The prefix, cut to 58 characters, and five that cannot form words."""
    return prefix[:58] + "".join(secrets.choice(ALPHABET) for _ in range(5))


def metadata_of(obj: Obj) -> Obj:
    """The object's metadata, made if missing. Raises BadRequest when it is no object."""
    metadata = obj.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise BadRequest("metadata must be an object")
    return metadata


def drop_doubled_owners(obj: Obj, request: Request, after: str = "") -> None:
    """Of owner references that are there twice one stays; clients are told (dedupOwnerReferencesAndAddWarning)."""
    owners = metadata_of(obj).get("ownerReferences")
    if not isinstance(owners, list) or len(owners) < 2:
        return
    kept: list[Any] = []
    doubled: list[str] = []
    for one in owners:
        if one in kept:
            doubled.append(str(one.get("uid", "")))
        else:
            kept.append(one)
    if doubled:
        obj["metadata"]["ownerReferences"] = kept
        request.warnings.append(
            f".metadata.ownerReferences contains duplicate entries{after}; API server dedups owner references in "
            "1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) "
            f"observed: {', '.join(doubled)}"
        )


def drop_empty(obj: Obj) -> None:
    """Metadata shows no empty lists and maps (Go's omitempty)."""
    metadata = metadata_of(obj)
    for field in COLLECTIONS:
        if field in metadata and not metadata[field]:
            del metadata[field]


def stamp_new(obj: Obj, kind: Kind, namespace: str, now: datetime) -> None:
    """Name it, give it identity and birth, forget what clients cannot set."""
    metadata = metadata_of(obj)
    for field in (*SYSTEM_OWNED, "resourceVersion"):
        metadata.pop(field, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generated_name(metadata["generateName"])
    if kind.resource.namespaced:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = time.text(now)
    if kind.counted:
        metadata["generation"] = 1


def keep_system_owned(new: Obj, old: ReadOnlyObj) -> None:
    """An update cannot change identity, birth, deletion or generation."""
    metadata, before = metadata_of(new), old["metadata"]
    for field in SYSTEM_OWNED:
        if field in before:
            metadata[field] = before[field]
        else:
            metadata.pop(field, None)
    metadata.setdefault("name", before["name"])
    if "namespace" in before:
        metadata["namespace"] = before["namespace"]
    if "generateName" in before:
        metadata.setdefault("generateName", before["generateName"])


def count(kind: Kind, new: Obj, old: ReadOnlyObj) -> None:
    """The generation grows when anything but metadata differs, or status where that is a subresource."""
    uncounted = {"metadata", "apiVersion", "kind"} | ({"status"} if kind.status else set())
    if kind.counted and any(new.get(name) != old.get(name) for name in (new.keys() | old.keys()) - uncounted):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def validate_metadata(obj: ReadOnlyObj, name_problems: Callable[[str], Iterator[str]]) -> Iterator[FieldError]:
    metadata = obj["metadata"]
    name = metadata.get("name", "")
    if not name:
        yield FieldError("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")
    else:
        for problem in name_problems(name):
            yield FieldError("metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": {problem}')
    for key, value in (metadata.get("labels") or {}).items():
        for problem in qualified_name_problems(key):
            yield FieldError("metadata.labels", "FieldValueInvalid", f'Invalid value: "{key}": {problem}')
        for problem in label_value_problems(str(value)):
            yield FieldError("metadata.labels", "FieldValueInvalid", f'Invalid value: "{value}": {problem}')
    total = 0
    for key, value in (metadata.get("annotations") or {}).items():
        total += len(key) + len(str(value))
        for problem in qualified_name_problems(key.lower()):
            yield FieldError("metadata.annotations", "FieldValueInvalid", f'Invalid value: "{key}": {problem}')
    if total > MAX_ANNOTATIONS:
        yield FieldError(
            "metadata.annotations", "FieldValueTooLong", f"Too long: may not be more than {MAX_ANNOTATIONS} bytes"
        )
    yield from _owners(metadata)
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        path = f"metadata.finalizers[{index}]"
        for problem in qualified_name_problems(str(finalizer)):
            yield FieldError(path, "FieldValueInvalid", f'Invalid value: "{finalizer}": {problem}')


def _owners(metadata: ReadOnlyObj) -> Iterator[FieldError]:
    controllers = []
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        path = f"metadata.ownerReferences[{index}]"
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield FieldError(
                    f"{path}.{field}", "FieldValueInvalid", f'Invalid value: "": {field} must not be empty'
                )
        if owner.get("controller"):
            controllers.append(owner)
    if len(controllers) > 1:
        yield FieldError(
            "metadata.ownerReferences", "FieldValueInvalid",
            "Invalid value: Only one reference can have Controller set to true. Found \"true\" in references for "
            f"{controllers[0].get('kind')}/{controllers[0].get('name')} and "
            f"{controllers[1].get('kind')}/{controllers[1].get('name')}",
        )  # fmt: skip


def validate_metadata_update(new: ReadOnlyObj, old: ReadOnlyObj) -> Iterator[FieldError]:
    metadata, before = new["metadata"], old["metadata"]
    for field in ("name", "namespace", "uid"):
        if metadata.get(field) != before.get(field):
            yield FieldError(
                f"metadata.{field}", "FieldValueInvalid",
                f'Invalid value: "{metadata.get(field, "")}": field is immutable',
            )  # fmt: skip
    if before.get("deletionTimestamp"):
        added = [f for f in metadata.get("finalizers") or () if f not in (before.get("finalizers") or ())]
        if added:
            listed = "[]string{" + ", ".join(f'"{f}"' for f in added) + "}"
            yield FieldError(
                "metadata.finalizers", "FieldValueForbidden",
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                f"{listed}",
            )  # fmt: skip
