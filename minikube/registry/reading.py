"""Get, list and watch from the cache. Rules: kubernetes.io/docs/reference/using-api/api-concepts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from minikube.errors import BadRequest, Expired, NotFound, Timeout
from minikube.registry.base import Change, Listing, ListOptions, Selection, WatchOptions
from minikube.registry.cache import Bucket, Cache
from minikube.registry.conversion import Converting
from minikube.registry.keys import path_of
from minikube.registry.paging import Continue, check_options, page_of
from minikube.registry.selection import compile_selection
from minikube.registry.snapshot import Snapshot
from minikube.registry.stored import StoredObject
from minikube.registry.watch import Watch
from minikube.resources.base import Kind

LIST_EXPIRED = "The resourceVersion for the provided list is too old."


class Reading:
    def __init__(self, cache: Cache, converting: Converting) -> None:
        self._cache = cache
        self._converting = converting

    async def get(self, kind: Kind, namespace: str, name: str, *, resource_version: str = "") -> StoredObject:
        await self._fresh(resource_version)
        found = self._cache.bucket(kind).objects.get(path_of(kind.resource, namespace, name))
        if found is None:
            raise NotFound.of(kind.resource.plural, kind.resource.group, name)
        await self._converting.show(kind, [found])
        return found

    async def list(self, kind: Kind, namespace: str, selection: Selection, options: ListOptions) -> Listing:
        check_options(options)
        matches = compile_selection(kind, selection)
        bucket = self._cache.bucket(kind)
        token = Continue.read(options.continue_) if options.continue_ else None
        revision = await self._listed_revision(bucket, options, token)
        with Snapshot(bucket, revision, namespace, token.start if token is not None else "") as snapshot:
            compared = self._converting if kind.conversion is not None and selection.fields else None
            page = await page_of(snapshot, kind, matches, revision, options.limit, compared)
        if kind.conversion is not None:
            await self._converting.show(kind, [each for each in page.items if isinstance(each, StoredObject)])
        return page

    async def _listed_revision(self, bucket: Bucket, options: ListOptions, token: Continue | None) -> int:
        """The one that is to be listed. Raises Expired, BadRequest, Timeout."""
        if token is not None and token.rv > 0:
            if self._forgotten(bucket, token.rv):
                raise token.expired()
            return token.rv
        await self._fresh(options.resource_version)
        if options.resource_version_match != "Exact":
            return self._cache.revision
        revision = parse_revision(options.resource_version)
        if self._forgotten(bucket, revision):
            raise Expired(LIST_EXPIRED)
        return revision

    def _forgotten(self, bucket: Bucket, revision: int) -> bool:
        return revision < max(bucket.floor, self._cache.compacted)

    @asynccontextmanager
    async def watch(
        self, kind: Kind, namespace: str, selection: Selection, options: WatchOptions
    ) -> AsyncIterator[AsyncIterator[Sequence[Change]]]:
        matches = compile_selection(kind, selection, name=options.name)
        bucket = self._cache.bucket(kind)
        start = 0 if options.resource_version in ("", "0") else parse_revision(options.resource_version)
        if start:
            await self._fresh(options.resource_version)
        initial: Snapshot | None = None
        if options.send_initial_events or not start:
            start = self._cache.revision
            initial = Snapshot(bucket, start, namespace)
        watch = Watch(self._cache, self._converting, bucket, namespace, matches, start, options)
        changes = watch.batches(kind, initial)
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


def parse_revision(text: str) -> int:
    """Raises BadRequest worded as upstream."""
    if not text.isascii() or not text.isdigit():
        raise BadRequest(f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)
