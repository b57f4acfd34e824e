"""Who manages which fields: metadata.managedFields of every writer, and server-side apply.

    managed = track(old, new, managed, structure, writer, time)                 after any create or update
    applied = apply(live, config, managed, structure, writer, time, force=False)  for an apply patch

Entries are plain ManagedFieldsEntry objects. The rules are those of structured-merge-diff's Updater and of
apimachinery/pkg/util/managedfields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from minikube.errors import Conflict
from minikube.schema.fieldset import (
    SELF,
    Fields,
    compare,
    difference,
    intersection,
    of_object,
    paths,
    union,
    with_named_parents,
    without,
)
from minikube.schema.merge import merged, removed
from minikube.schema.structure import Obj, Structure

APPLY, UPDATE = "Apply", "Update"
BEFORE_FIRST_APPLY = "before-first-apply"
ANCIENT = "ancient-changes"
MAX_UPDATERS = 10
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LAST_APPLIED_LIMIT = 262_144
Entry = dict[str, Any]
Identity = tuple[str, str, str, str]
"""manager, operation, API version ("" for Apply), subresource."""

# The server's own fields, which nobody manages (managedfields stripMeta).
_SERVERS = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
)
STRIPPED: Fields = {
    "f:apiVersion": SELF,
    "f:kind": SELF,
    "f:metadata": {f"f:{name}": SELF for name in _SERVERS},
}


class Writer(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes, as managedFields tell writers apart. `reset`: top-level fields this request cannot change
    (("status",) for the main resource of a kind with /status, ("spec",) for /status itself)."""

    manager: str
    api_version: str
    operation: str = UPDATE
    subresource: str = ""
    reset: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        version = "" if self.operation == APPLY else self.api_version
        return self.manager, self.operation, version, self.subresource


class Applied(msgspec.Struct, frozen=True):
    """The object an apply patch makes and its managers; `changed` is False when nothing but them differs."""

    object: Obj
    managed: list[Entry]
    changed: bool


class ApplyConflict(Conflict):
    """Others manage fields that the configuration sets to something else; `conflicts` is identity -> fields."""

    def __init__(self, conflicts: Mapping[Identity, Fields]) -> None:
        told = [(who, path) for who, fields in conflicts.items() for path in paths(fields)]
        if len(told) == 1:
            (who, path) = told[0]
            message = f"Apply failed with 1 conflict: conflict with {_told(who)}: {path}"
        else:
            blocks = [
                f"conflicts with {_told(who)}:\n" + "\n".join(f"- {path}" for path in paths(fields))
                for who, fields in sorted(conflicts.items())
            ]
            message = f"Apply failed with {len(told)} conflicts: " + "\n".join(blocks)
        super().__init__(
            message,
            causes=[
                {"reason": "FieldManagerConflict", "message": f"conflict with {_told(who)}", "field": path}
                for who, path in told
            ],
        )
        self.conflicts = dict(conflicts)


def _told(identity: Identity) -> str:
    manager, operation, version, subresource = identity
    text = msgspec.json.encode(manager).decode()
    if subresource:
        text += f" with subresource {msgspec.json.encode(subresource).decode()}"
    return text if operation == APPLY else f"{text} using {version}"


def submitted(sent: Any, live: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """The entries to go on from: those a client sent, the live ones if it sent none, none if it sent `[{}]`."""
    if not sent:
        return [dict(entry) for entry in live]
    if len(sent) == 1 and not sent[0]:
        return []
    return [dict(entry) for entry in sent]


def track(
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any],
    managed: Sequence[Mapping[str, Any]],
    structure: Structure,
    writer: Writer,
    time: str,
) -> list[Entry]:
    """The entries after this writer made `new` of `old` (None: created it); `time` is RFC 3339.

    What it added or changed is now its own and nobody else's, what is gone is nobody's. An object that never had
    entries gets none by an update. Returns the same entries, untouched, when nothing they speak of changed.
    """
    if old is not None and not managed:
        return []
    difference_ = compare(old or {}, new, structure)
    ignored = _ignored(writer)
    changed = without(difference_.changed, ignored)
    gone = difference_.removed
    if not changed and not gone:
        return [dict(entry) for entry in managed]
    entries = _by_identity(managed)
    own = entries.pop(writer.identity, None)
    for who, entry in list(entries.items()):
        left = difference(entry["fieldsV1"], gone) if gone else entry["fieldsV1"]
        _keep(entries, who, entry, difference(left, changed) if changed else left)
    before = own["fieldsV1"] if own is not None else SELF
    after = union(difference(before, gone), changed)
    if own is not None and after == before:
        entries[writer.identity] = own
    elif after:
        entries[writer.identity] = _entry(writer, time, after)
    return _sorted(_capped(entries))


def _keep(
    entries: dict[Identity, Entry],
    who: Identity,
    entry: Entry,
    left: Fields,
) -> None:
    if not left:
        del entries[who]
    elif left != entry["fieldsV1"]:
        entries[who] = {**entry, "fieldsV1": left}


def apply(
    live: Mapping[str, Any] | None,
    config: Mapping[str, Any],
    managed: Sequence[Mapping[str, Any]],
    structure: Structure,
    writer: Writer,
    time: str,
    *,
    force: bool = False,
) -> Applied:
    """Server-side apply of `config` (cleaned, without managedFields) by `writer`, whose operation is Apply.

    What this manager applied before and no longer does is removed, unless somebody else manages it too.
    Raises ApplyConflict when another manager's field would change and `force` is not set.
    """
    ignored = _ignored(writer)
    applied = without(of_object(config, structure), ignored)
    entry = _entry(writer, time, applied)
    if live is None:
        return Applied(dict(config), [entry] if applied else [], True)
    current: Obj = dict(live)
    current["metadata"] = {k: v for k, v in live.get("metadata", {}).items() if k != "managedFields"}
    entries = _by_identity(managed or [_before_first_apply(current, structure, writer, time)])
    last = entries.get(writer.identity)
    entries[writer.identity] = entry
    wanted = {name: value for name, value in config.items() if name not in writer.reset}
    result: Obj = merged(current, wanted, structure)
    if last is not None:
        result = _pruned(result, last["fieldsV1"], entries, structure)
    changes = compare(current, result, structure)
    others = {who: other["fieldsV1"] for who, other in entries.items() if who != writer.identity}
    conflicts = {who: taken for who, fields in others.items() if (taken := intersection(fields, changes.changed))}
    if conflicts and not force:
        _raise_unless_last_applied(conflicts, current, structure, writer)
    for who, fields in others.items():
        left = difference(fields, conflicts.get(who, SELF))
        _keep(entries, who, entries[who], difference(left, changes.removed))
    if not applied:
        del entries[writer.identity]
    elif last is not None and last["fieldsV1"] == applied and changes.same:
        entries[writer.identity] = last
    if writer.manager == KUBECTL and not writer.subresource:
        result = _last_applied_synced(result, config)
    return Applied(result, _sorted(entries), not changes.same)


def _raise_unless_last_applied(
    conflicts: Mapping[Identity, Fields], live: Obj, structure: Structure, writer: Writer
) -> None:
    """kubectl may take over what its client-side apply set and nobody changed since (lastAppliedManager)."""
    allowed: Fields = {}
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if writer.manager == KUBECTL and text:
        try:
            last = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            last = {}
        allowed = difference(of_object(last, structure), compare(last, live, structure).modified)
    left = {who: fields for who, found in conflicts.items() if (fields := difference(found, allowed))}
    if left:
        raise ApplyConflict(left)


def _last_applied_synced(obj: Obj, config: Mapping[str, Any]) -> Obj:
    """An annotation that client-side apply left follows kubectl's server-side apply (lastAppliedUpdater)."""
    annotations = obj["metadata"].get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return obj
    metadata = dict(config.get("metadata", {}))
    metadata["annotations"] = {k: v for k, v in metadata.get("annotations", {}).items() if k != LAST_APPLIED}
    text = msgspec.json.encode({**config, "metadata": metadata}, order="sorted").decode() + "\n"
    kept = {**annotations, LAST_APPLIED: text if len(text) <= LAST_APPLIED_LIMIT else ""}
    return {**obj, "metadata": {**obj["metadata"], "annotations": kept}}


def _pruned(result: Obj, last: Fields, entries: Mapping[Identity, Entry], structure: Structure) -> Obj:
    owned: Fields = {}
    for entry in entries.values():
        owned = union(owned, entry["fieldsV1"])
    doomed = difference(with_named_parents(last, structure), with_named_parents(owned, structure))
    kept: Obj = removed(result, without(doomed, STRIPPED), structure) or {}
    kept.setdefault("metadata", result["metadata"])
    return kept


def _ignored(writer: Writer) -> Fields:
    return {**STRIPPED, **{f"f:{name}": SELF for name in writer.reset}} if writer.reset else STRIPPED


def _entry(writer: Writer, time: str, fields: Fields) -> Entry:
    out: Entry = {
        "apiVersion": writer.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        "manager": writer.manager,
        "operation": writer.operation,
        "time": time,
    }
    if writer.subresource:
        out["subresource"] = writer.subresource
    return out


def _before_first_apply(live: Obj, structure: Structure, writer: Writer, time: str) -> Entry:
    """An object nobody tracked so far: all of it is an update's, so that applying to it can conflict."""
    earlier = Writer(manager=BEFORE_FIRST_APPLY, api_version=writer.api_version)
    created = live["metadata"].get("creationTimestamp") or time
    return _entry(earlier, created, without(of_object(live, structure), STRIPPED))


def _identity(entry: Mapping[str, Any]) -> Identity:
    operation = entry.get("operation", "")
    version = "" if operation == APPLY else entry.get("apiVersion", "")
    return entry.get("manager", ""), operation, version, entry.get("subresource", "")


def _by_identity(managed: Sequence[Mapping[str, Any]]) -> dict[Identity, Entry]:
    out: dict[Identity, Entry] = {}
    for entry in managed:
        fields = entry.get("fieldsV1")
        if isinstance(fields, dict) and entry.get("operation") in (APPLY, UPDATE):
            who = _identity(entry)
            known = out.get(who)
            out[who] = {**entry, "fieldsV1": union(known["fieldsV1"], fields)} if known else dict(entry)
    return out


def _capped(entries: dict[Identity, Entry]) -> dict[Identity, Entry]:
    """At most ten updaters are told apart; the oldest become one, by version (capManagersManager)."""
    updaters = [who for who in entries if who[1] == UPDATE]
    if len(updaters) <= MAX_UPDATERS:
        return entries
    updaters.sort(key=lambda who: (entries[who].get("time", ""), who))
    out = dict(entries)
    for who in updaters[: len(updaters) - MAX_UPDATERS + 1]:
        old = out.pop(who)
        bucket = (ANCIENT, UPDATE, old.get("apiVersion", ""), "")
        kept = out.get(bucket)
        if kept is None:
            writer = Writer(manager=ANCIENT, api_version=old.get("apiVersion", ""))
            out[bucket] = _entry(writer, old.get("time", ""), old["fieldsV1"])
        else:
            out[bucket] = {**kept, "fieldsV1": union(kept["fieldsV1"], old["fieldsV1"])}
    return out


def _sorted(entries: Mapping[Any, Entry]) -> list[Entry]:
    """Appliers first, then by time (managedfields sortEncodedManagedFields)."""
    return sorted(
        entries.values(),
        key=lambda entry: (
            entry.get("operation", ""),
            entry.get("time", ""),
            entry.get("manager", ""),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        ),
    )
