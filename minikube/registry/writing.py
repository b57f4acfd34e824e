"""Create, update, patch and delete: one object from request to stored record, in the order of the API's rules.

clean -> default -> managedFields -> mutate -> (clean, default) -> prepare -> validate -> admit -> encode -> store.
What admission and strategies fill in is nobody's field: managers own what they sent, defaults included.
An update repeats from mutation whenever somebody else's write came first, unless the client named a revision.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from minikube.admission.base import Attributes
from minikube.admission.chain import Chain
from minikube.client.base import PatchType
from minikube.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    MethodNotAllowed,
    NotFound,
)
from minikube.kit.clock import Clock
from minikube.registry import metadata as rules
from minikube.registry import steps
from minikube.registry.allocate import Allocator
from minikube.registry.base import Alter, DeleteOptions, Request, Written
from minikube.registry.cache import Cache
from minikube.registry.conversion import Converting
from minikube.registry.deletion import plan_deletion
from minikube.registry.keys import key_of, split_key
from minikube.registry.patching import apply_patch, check_patch
from minikube.registry.shape import Shape, shape_of
from minikube.registry.splitting import split
from minikube.registry.stored import StoredObject, same_content
from minikube.registry.strictness import check_applied, check_object, check_patched
from minikube.resources.base import Kind, Obj, ReadOnlyObj
from minikube.store.base import Record, Store
from minikube.store.errors import KeyExists, RevisionMismatch, StoreError

RETRIES = 20
NAMES_TRIED = 8
"""Of an object whose name the server makes up, before the client is told that they are taken."""
AFTER_ADMISSION = " after mutating admission happens"

UNTRACKED = "binding"
"""A pod's node is nobody's field: BindingREST writes past the field manager."""


class Writing:
    def __init__(
        self,
        store: Store,
        cache: Cache,
        admission: Chain,
        allocator: Allocator,
        clock: Clock,
        converting: Converting,
    ) -> None:
        self._store = store
        self._converting = converting
        self._cache = cache
        self._admission = admission
        self._allocator = allocator
        self._clock = clock

    # ---- create --------------------------------------------------------------------------------------

    async def create(
        self, kind: Kind, namespace: str, obj: Obj, request: Request, *, name: str = ""
    ) -> StoredObject:
        return await self._create(kind, namespace, obj, request, name=name)

    async def _create(
        self, kind: Kind, namespace: str, obj: Obj, request: Request, *, name: str = "", applied: bool = False
    ) -> StoredObject:
        if kind.terminating:
            raise MethodNotAllowed("create not allowed while custom resource definition is terminating")
        metadata = rules.metadata_of(obj)
        steps.check_scope(kind, namespace, metadata)
        if name:
            steps.take_name(metadata, name)
        if metadata.get("resourceVersion"):
            raise BadRequest("resourceVersion should not be set on objects to be created")
        shape = shape_of(kind)
        check_object(kind, steps.clean(kind, shape, obj), request)
        rules.drop_doubled_owners(obj, request)
        if not metadata.get("name") and metadata.get("generateName"):
            for _ in range(NAMES_TRIED - 1):
                with contextlib.suppress(AlreadyExists):
                    new = copy.deepcopy(obj)
                    return await self._create_once(kind, namespace, new, request, shape, applied=applied)
        return await self._create_once(kind, namespace, obj, request, shape, applied=applied)

    async def _create_once(
        self, kind: Kind, namespace: str, obj: Obj, request: Request, shape: Shape, *, applied: bool
    ) -> StoredObject:
        rules.stamp_new(obj, kind, namespace, self._clock.now())
        if kind.status and not kind.strategy.keeps_status:
            obj.pop("status", None)
        name = obj["metadata"].get("name", "")
        steps.default(kind, shape, obj)
        if not applied:
            shape.track(None, obj, request, "", self._clock.now())
        attributes = steps.attributes_of("CREATE", kind, "", namespace, name, obj, None, request)
        await self._mutate(kind, shape, obj, attributes, request)
        kind.strategy.prepare_create(obj)
        kind.strategy.requested_by(obj, request.user.info())
        write = partial(self._store_new, kind, namespace, obj, request)
        return await self._validated(kind, shape, obj, attributes, request, write)

    async def _store_new(self, kind: Kind, namespace: str, obj: Obj, request: Request) -> StoredObject:
        name = obj["metadata"]["name"]
        key = key_of(kind.storage, namespace, name)
        value = steps.encode(kind, await self._converting.store(kind, obj))
        if request.dry_run:
            current = await self._store.get(key)
            if current is not None:
                raise AlreadyExists.of(kind.resource.plural, kind.resource.group, name)
            return StoredObject(kind, Record(key, value, self._cache.revision, self._cache.revision))
        try:
            record = await self._store.create(
                key, value, durability=steps.durability_of(kind, namespace, creating=True)
            )
        except KeyExists as error:
            raise AlreadyExists.of(kind.resource.plural, kind.resource.group, name) from error
        except StoreError as error:
            raise steps.unavailable(error) from error
        return await self._seen(kind, record)

    # ---- update and patch ----------------------------------------------------------------------------

    async def update(
        self, kind: Kind, namespace: str, name: str, obj: Obj, request: Request, *, subresource: str = ""
    ) -> Written:
        metadata = rules.metadata_of(obj)
        steps.check_scope(kind, namespace, metadata)
        steps.take_name(metadata, name)
        shape = shape_of(kind)
        check_object(kind, steps.clean(kind, shape, obj), request)
        rules.drop_doubled_owners(obj, request)
        if kind.create_on_update and not subresource:
            key = key_of(kind.storage, namespace, name)
            if await self._store.get(key) is None and not metadata.get("resourceVersion"):
                metadata.pop("uid", None)
                return Written(await self.create(kind, namespace, obj, request), created=True)
        return await self.change(
            kind, namespace, name, lambda present: copy.deepcopy(obj), request, subresource, cleaned=True
        )

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        type: PatchType,
        request: Request,
        *,
        subresource: str = "",
    ) -> Written:
        shape = shape_of(kind)
        request = check_patch(patch, type, request)
        if type is PatchType.APPLY:
            steps.take_name(rules.metadata_of(patch), name)
            check_applied(kind, shape.structure, patch, steps.clean(kind, shape, patch), request)
            key = key_of(kind.storage, namespace, name)
            if await self._store.get(key) is None and not subresource:
                made = shape.apply(None, copy.deepcopy(patch), request, "", self._clock.now())
                return Written(await self._create(kind, namespace, made, request, applied=True), created=True)

        def change(present: ReadOnlyObj) -> Obj:
            return apply_patch(kind, shape, present, patch, type, request, subresource, self._clock.now())

        sent = patch if type is PatchType.STRATEGIC else None
        applied = type is PatchType.APPLY
        return await self.change(kind, namespace, name, change, request, subresource, applied=applied, sent=sent)

    async def change(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Alter,
        request: Request,
        subresource: str,
        *,
        cleaned: bool = False,
        applied: bool = False,
        sent: ReadOnlyObj | None = None,
    ) -> Written:
        """Of the present object, again and again until nobody else's write comes between; `cleaned`: what `change`
        makes has the kind's shape already, `applied`: and its managedFields; `sent`: a strategic merge patch."""
        shape = shape_of(kind)
        for _ in range(RETRIES):
            present = await self._present(kind, namespace, name)
            old = present.tree(kind)
            new = change(old)
            asked = rules.metadata_of(new).get("resourceVersion") or ""
            steps.check_update(kind, name, new, old, asked, present.revision)
            if not cleaned:
                check_patched(new, steps.clean_patched(shape, kind, new, sent), request, sent)
            new = split(kind, new, old, subresource)
            rules.keep_system_owned(new, old)
            steps.default(kind, shape, new)
            if not applied and subresource != UNTRACKED:
                shape.track(old, new, request, subresource, self._clock.now())
            attributes = steps.attributes_of("UPDATE", kind, subresource, namespace, name, new, old, request)
            await self._mutate(kind, shape, new, attributes, request)
            steps.prepare_change(kind, new, old, subresource)
            write = partial(self._store_changed, kind, namespace, present, new, request)
            try:
                return Written(await self._validated(kind, shape, new, attributes, request, write))
            except RevisionMismatch as error:
                if cleaned and asked == str(present.revision) and error.current is not None:
                    raise Conflict.of(kind.resource.plural, kind.resource.group, name, steps.MODIFIED) from error
        raise Conflict.of(kind.resource.plural, kind.resource.group, name, steps.MODIFIED)

    async def _store_changed(
        self, kind: Kind, namespace: str, present: StoredObject, new: Obj, request: Request
    ) -> StoredObject:
        value = steps.encode(kind, await self._converting.store(kind, new))
        record = present.record
        if same_content(value, record.value):
            return present
        if request.dry_run:
            return StoredObject(kind, msgspec.structs.replace(record, value=value))
        metadata = new["metadata"]
        done = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
        if done and not metadata.get("deletionGracePeriodSeconds") and not kind.strategy.held(new):
            last = StoredObject(kind, msgspec.structs.replace(record, value=value))
            return await self._remove(kind, namespace, last)
        try:
            written = await self._store.update(
                record.key, value, expect=record.revision, durability=steps.durability_of(kind, namespace)
            )
        except RevisionMismatch:
            raise
        except StoreError as error:
            raise steps.unavailable(error) from error
        return await self._seen(kind, written)

    # ---- delete --------------------------------------------------------------------------------------

    async def delete(
        self, kind: Kind, namespace: str, name: str, options: DeleteOptions, request: Request
    ) -> tuple[StoredObject, bool]:
        for _ in range(RETRIES):
            present = await self._present(kind, namespace, name)
            steps.check_deletion(kind, present, options)
            old = present.tree(kind)
            attributes = steps.attributes_of("DELETE", kind, "", namespace, name, None, old, request)
            await self._admission.mutate(attributes)
            await self._admission.validate(attributes)
            plan = plan_deletion(kind, present, dict(old), options, self._clock.now())
            if request.dry_run:
                return present, plan.now
            try:
                if plan.now:
                    return await self._remove(kind, namespace, present), True
                if plan.marked is None:
                    return present, False
                value = steps.encode(kind, await self._converting.store(kind, plan.marked))
                written = await self._store.update(present.key, value, expect=present.revision)
                marked = await self._seen(kind, written)
                await self._converting.show(kind, [marked])
                return marked, False
            except RevisionMismatch as error:
                if options.preconditions.get("resourceVersion"):
                    raise Conflict.of(kind.resource.plural, kind.resource.group, name, steps.MODIFIED) from error
            except StoreError as error:
                raise steps.unavailable(error) from error
        raise Conflict.of(kind.resource.plural, kind.resource.group, name, steps.MODIFIED)

    async def _remove(self, kind: Kind, namespace: str, present: StoredObject) -> StoredObject:
        """The last state, under the deletion's revision. Raises RevisionMismatch."""
        await self._converting.show(kind, [present])
        record = present.record
        gone = await self._store.delete(
            record.key, expect=record.revision, durability=steps.durability_of(kind, namespace, creating=True)
        )
        await self._cache.reached(gone.revision)
        last = present.moved(msgspec.structs.replace(record, revision=gone.revision))
        self._allocator.release(kind, last.tree(kind))
        return last

    # ---- steps ---------------------------------------------------------------------------------------

    async def _present(self, kind: Kind, namespace: str, name: str) -> StoredObject:
        """As it is stored at this moment. Raises NotFound."""
        record = await self._store.get(key_of(kind.storage, namespace, name))
        if record is None:
            raise NotFound.of(kind.resource.plural, kind.resource.group, name)
        stored = StoredObject(kind, record)
        await self._converting.show(kind, [stored])
        return stored

    async def _mutate(self, kind: Kind, shape: Shape, new: Obj, attributes: Attributes, request: Request) -> None:
        """By the plugins of admission; what they made is brought into shape like what a client sends."""
        await self._admission.mutate(attributes)
        if self._admission.mutated(attributes):
            steps.clean(kind, shape, new)
            steps.default(kind, shape, new)
        rules.drop_doubled_owners(new, request, AFTER_ADMISSION)

    async def _validated(
        self,
        kind: Kind,
        shape: Shape,
        new: Obj,
        attributes: Attributes,
        request: Request,
        write: Callable[[], Awaitable[StoredObject]],
    ) -> StoredObject:
        """What `write` makes of a valid object; what it needs is reserved meanwhile, and freed if this fails."""
        reservation = self._allocator.reserve(kind, new, attributes.old)
        try:
            steps.validate(kind, shape, new, attributes.old, request, attributes.subresource)
            await self._admission.validate(attributes)
            stored = await write()
        except BaseException:
            reservation.rollback()
            raise
        finally:
            attributes.over()
        if request.dry_run:
            reservation.rollback()
        else:
            reservation.commit()
        await self._converting.show(kind, [stored])
        return stored

    async def _seen(self, kind: Kind, record: Record) -> StoredObject:
        """As the cache shows it to everybody, unless something has come after it already."""
        await self._cache.reached(record.revision)
        current = self._cache.bucket(kind).objects.get(split_key(record.key)[1])
        if current is not None and current.revision == record.revision:
            return current
        return StoredObject(kind, record)
