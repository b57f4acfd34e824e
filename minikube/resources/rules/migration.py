"""What migrations of stored versions may say (pkg/apis/storagemigration/validation)."""

from __future__ import annotations

from collections.abc import Iterator

from minikube.api.storagemigration_v1 import StorageVersionMigration
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.conditions import conditions
from minikube.resources.rules.invalid import immutable, invalid, not_negative, required

_ENDS = {"Succeeded": "Success", "Failed": "Failed"}


class StorageVersionMigrationRules(Strategy[StorageVersionMigration]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(self, new: StorageVersionMigration, old: StorageVersionMigration | None) -> Iterator[FieldError]:
        target = new.spec.resource
        if not target.resource:
            yield required("spec.resource.resource", "resource is required")
        if old is not None:
            yield from immutable("group", target.group, old.spec.resource.group)
            yield from immutable("resource", target.resource, old.spec.resource.resource)

    def validate_status(self, new: StorageVersionMigration, old: StorageVersionMigration) -> Iterator[FieldError]:
        revision, path = new.status.resource_version, "status.resourceVersion"
        number = revision.removeprefix("-").isdecimal()
        if revision and not number:
            why = f'strconv.ParseInt: parsing "{revision}": invalid syntax'
            yield invalid(path, revision, f'failed to parse resource version "{revision}": {why}')
        yield from not_negative(path, int(revision) if number else 0)
        yield from conditions(new.status.conditions, "status.conditions")
        if old.status.resource_version and old.status.resource_version != revision:
            yield invalid(path, revision, "cannot be updated")
        yield from _ends(new, old)


def _true(migration: StorageVersionMigration) -> frozenset[str]:
    return frozenset(one.type for one in migration.status.conditions if one.status == "True")


def _ends(new: StorageVersionMigration, old: StorageVersionMigration) -> Iterator[FieldError]:
    """It ends once, in one way."""
    now, path, shown = _true(new), "status.conditions", new.status.conditions
    if now >= _ENDS.keys():
        yield invalid(path, shown, "Both success and failed conditions cannot be true at the same time")
    for type, word in _ENDS.items():
        if {type, "Running"} <= now:
            yield invalid(path, shown, f"Running condition cannot be true when {word.lower()} condition is true")
    for type, word in _ENDS.items():
        if type in _true(old) and type not in now:
            yield invalid(path, shown, f"{word} condition cannot be set to false once it is true")
