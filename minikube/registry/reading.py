"""Get, list and watch from the cache. Rules: kubernetes.io/docs/reference/using-api/api-concepts."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from minikube.errors import ApiError, BadRequest, Expired, FieldError, Invalid, NotFound, Timeout
from minikube.kit.turns import Turns
from minikube.registry.base import Change, Listing, Selection
from minikube.registry.cache import Bucket, Cache
from minikube.registry.conversion import Converting
from minikube.registry.history import Change as CacheChange
from minikube.registry.selection import Matches, compile_selection
from minikube.registry.snapshot import Snapshot
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind

BOOKMARK_SECONDS = 60.0
INCONSISTENT = -1
"""In place of a continue token's revision: go on from its key in the present state."""
LIST_EXPIRED = "The resourceVersion for the provided list is too old."
TOKEN_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


class _Continue(msgspec.Struct, frozen=True):
    """What a continue token says: the snapshot's revision (or INCONSISTENT) and the first path to come."""

    v: str
    rv: int
    start: str


def parse_revision(text: str) -> int:
    """Raises BadRequest worded as upstream."""
    if not text.isascii() or not text.isdigit():
        raise BadRequest(f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


class Reading:
    def __init__(self, cache: Cache, converting: Converting) -> None:
        self._cache = cache
        self._converting = converting

    async def get(self, kind: Kind, namespace: str, name: str, *, resource_version: str = "") -> StoredObject:
        await self._fresh(resource_version)
        path = f"{namespace if kind.resource.namespaced else '-'}/{name}"
        found = self._cache.bucket(kind).objects.get(path)
        if found is None:
            raise NotFound.of(kind.resource.plural, kind.resource.group, name)
        await self._converting.show(kind, [found])
        return found

    async def list(
        self,
        kind: Kind,
        namespace: str,
        selection: Selection,
        *,
        resource_version: str = "",
        resource_version_match: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> Listing:
        _check_match(resource_version, resource_version_match, continue_)
        matches = compile_selection(kind, selection)
        bucket = self._cache.bucket(kind)
        token = _decode_continue(continue_) if continue_ else None
        start = token.start if token is not None else ""
        if token is not None and token.rv > 0:
            revision = token.rv
            if revision < max(bucket.floor, self._cache.compacted):
                raise Expired(TOKEN_EXPIRED, continue_=_encode_continue(INCONSISTENT, start))
        elif resource_version_match == "Exact":
            revision = parse_revision(resource_version)
            await self._fresh(resource_version)
            if revision < max(bucket.floor, self._cache.compacted):
                raise Expired(LIST_EXPIRED)
        else:
            await self._fresh(resource_version)
            revision = self._cache.revision
        with Snapshot(bucket, revision, namespace, start) as snapshot:
            compared = self._converting if kind.conversion is not None and selection.fields else None
            page = await _page(snapshot, kind, matches, revision, limit, compared)
        if kind.conversion is not None:
            await self._converting.show(kind, [each for each in page.items if isinstance(each, StoredObject)])
        return page

    @asynccontextmanager
    async def watch(
        self,
        kind: Kind,
        namespace: str,
        selection: Selection,
        *,
        resource_version: str = "",
        bookmarks: bool = False,
        send_initial_events: bool = False,
        name: str = "",
    ) -> AsyncIterator[AsyncIterator[Sequence[Change]]]:
        matches = compile_selection(kind, selection, name=name)
        bucket = self._cache.bucket(kind)
        start = 0 if resource_version in ("", "0") else parse_revision(resource_version)
        if start:
            await self._fresh(resource_version)
        initial: Snapshot | None = None
        if send_initial_events or not start:
            start = self._cache.revision
            initial = Snapshot(bucket, start, namespace)
        changes = self._follow(kind, bucket, namespace, matches, start, initial, bookmarks, send_initial_events)
        try:
            if initial is not None and kind.conversion is not None:
                await self._show_all(kind, Snapshot(bucket, start, namespace))
            yield changes
        finally:
            await changes.aclose()  # type: ignore[attr-defined]
            if initial is not None:
                initial.close()

    async def _show_all(self, kind: Kind, snapshot: Snapshot) -> None:
        with snapshot:
            for chunk in snapshot.chunks():
                await self._converting.show(kind, [stored for _, stored in chunk])

    async def _follow(
        self,
        kind: Kind,
        bucket: Bucket,
        namespace: str,
        matches: Matches | None,
        position: int,
        initial: Snapshot | None,
        bookmarks: bool,
        end_marker: bool,
    ) -> AsyncIterator[Sequence[Change]]:
        if initial is not None:
            for chunk in initial.chunks():
                selected = [
                    Change("ADDED", stored.revision, stored)
                    for _, stored in chunk
                    if matches is None or matches(stored)
                ]
                if selected:
                    yield selected
                await asyncio.sleep(0)
            initial.close()
        if end_marker and bookmarks:
            yield [Change("BOOKMARK", position, initial_events_end=True)]
        told = position
        loop = asyncio.get_running_loop()
        due = loop.time() + BOOKMARK_SECONDS
        while True:
            if position < bucket.floor:
                expired = Expired(f"too old resource version: {position} ({bucket.floor})")
                yield [Change("ERROR", position, status=expired.status())]
                return
            changes = bucket.since(position)
            if changes:
                position = changes[-1].revision
                try:
                    await self._converting.show(kind, _states(changes))
                except ApiError as error:
                    yield [Change("ERROR", position, status=error.status())]
                    return
                selected = [
                    found for change in changes if (found := _transition(change, namespace, matches)) is not None
                ]
                if selected:
                    told = selected[-1].revision
                    yield selected
                continue
            if bucket.withdrawn:
                return
            position = max(position, self._cache.revision)
            if not bookmarks:
                await bucket.changed()
            elif loop.time() < due:
                await bucket.changed(until=due)
            else:
                due = loop.time() + BOOKMARK_SECONDS
                if position > told:
                    told = position
                    yield [Change("BOOKMARK", position)]

    async def _fresh(self, resource_version: str) -> None:
        """Wait (3 s at most) for a revision that a client has seen elsewhere."""
        if resource_version in ("", "0"):
            return
        wanted = parse_revision(resource_version)
        if wanted <= self._cache.revision:
            return
        try:
            async with asyncio.timeout(3):
                await self._cache.reached(wanted)
        except TimeoutError:
            current = self._cache.revision
            raise Timeout(
                f"Too large resource version: {wanted}, current: {current}",
                causes=[{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                retry_after=1,
            ) from None


def _transition(change: CacheChange, namespace: str, matches: Matches | None) -> Change | None:
    """What a watcher with this selection sees of a change: leaving the selection is a deletion."""
    state = change.new or change.gone
    assert state is not None
    if namespace and state.namespace != namespace:
        return None
    before = change.old is not None and (matches is None or matches(change.old))
    after = change.new is not None and (matches is None or matches(change.new))
    if after:
        return Change("MODIFIED" if before else "ADDED", change.revision, change.new)
    if before:
        return Change("DELETED", change.revision, change.gone or _at(change))
    return None


def _states(changes: Sequence[CacheChange]) -> list[StoredObject]:
    return [state for change in changes for state in (change.old, change.new, change.gone) if state is not None]


def _at(change: CacheChange) -> StoredObject:
    """The last state that was selected, under the revision of the change that ended it."""
    assert change.old is not None
    record = msgspec.structs.replace(change.old.record, revision=change.revision)
    return change.old.moved(record)


async def _page(
    snapshot: Snapshot,
    kind: Kind,
    matches: Matches | None,
    revision: int,
    limit: int,
    converting: Converting | None,
) -> Listing:
    """`limit` objects that match (0: all of them); `converting`, when fields of converted objects are compared.
    Looking through many leaves turns to others."""
    found: list[StoredObject] = []
    turns = Turns()
    for chunk in snapshot.chunks():
        if converting is not None:
            await converting.show(kind, [stored for _, stored in chunk])
        for path, stored in chunk:
            if limit and len(found) == limit:
                remaining = snapshot.left_from(path) if matches is None else None
                return Listing(found, revision, _encode_continue(revision, path), remaining)
            if matches is None or matches(stored):
                found.append(stored)
            if turns.over:
                await turns.pass_on()
    return Listing(found, revision)


def _encode_continue(revision: int, start: str) -> str:
    raw = msgspec.json.encode(_Continue("meta.k8s.io/v1", revision, start))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode_continue(token: str) -> _Continue:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return msgspec.json.decode(raw, type=_Continue)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise BadRequest(f"continue key is not valid: {error}") from error


def _check_match(resource_version: str, match: str, continue_: str) -> None:
    """Rules: metav1 validation.ValidateListOptions."""
    errors = []
    if match:
        if continue_:
            errors.append(
                FieldError(
                    "resourceVersionMatch", "FieldValueForbidden",
                    "Forbidden: resourceVersionMatch is forbidden when continue is provided",
                )
            )  # fmt: skip
        elif not resource_version:
            errors.append(
                FieldError(
                    "resourceVersionMatch", "FieldValueForbidden",
                    "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
                )
            )  # fmt: skip
        elif match not in ("Exact", "NotOlderThan"):
            errors.append(
                FieldError(
                    "resourceVersionMatch", "FieldValueNotSupported",
                    f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""',
                )
            )  # fmt: skip
        elif match == "Exact" and resource_version == "0":
            errors.append(
                FieldError(
                    "resourceVersionMatch", "FieldValueForbidden",
                    'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
                )
            )  # fmt: skip
    if continue_ and resource_version and resource_version != "0":
        raise BadRequest("specifying resource version is not allowed when using continue")
    if errors:
        raise Invalid.of("ListOptions", "meta.k8s.io", "", errors)
