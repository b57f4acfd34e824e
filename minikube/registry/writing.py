"""Create, update, patch and delete: one object from request to stored record, in the order of the API's rules.

clean -> default -> managedFields -> mutate -> (clean, default) -> prepare -> validate -> admit -> encode -> store.
What admission and strategies fill in is nobody's field: managers own what they sent, defaults included.
An update repeats from mutation whenever somebody else's write came first, unless the client named a revision.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from minikube.admission.base import Attributes
from minikube.admission.chain import Chain
from minikube.api.meta import from_dict
from minikube.client.base import PatchType
from minikube.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    FieldError,
    InternalError,
    Invalid,
    NotFound,
    ServiceUnavailable,
)
from minikube.kit.clock import Clock
from minikube.registry import metadata as rules
from minikube.registry.allocate import Allocator, Reservation
from minikube.registry.base import DeleteOptions, Request, Written
from minikube.registry.cache import Cache
from minikube.registry.deletion import plan_deletion
from minikube.registry.keys import key_of
from minikube.registry.patching import apply_patch
from minikube.registry.shape import Shape, shape_of
from minikube.registry.splitting import split
from minikube.registry.stored import StoredObject, same_content, to_bytes
from minikube.registry.strictness import check_applied, check_object, check_patched
from minikube.resources.base import Kind, Obj, ReadOnlyObj
from minikube.schema.clean import WrongType
from minikube.store.base import Durability, Record, Store
from minikube.store.errors import KeyExists, RevisionMismatch, StoreError

RETRIES = 20
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"

Change = Callable[[ReadOnlyObj], Obj]
"""From the present object (in the request's version) to the wanted one."""


class Writing:
    def __init__(self, store: Store, cache: Cache, admission: Chain, allocator: Allocator, clock: Clock) -> None:
        self._store = store
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
        metadata = rules.metadata_of(obj)
        self._check_scope(kind, namespace, metadata)
        if name and metadata.setdefault("name", name) != name:
            raise BadRequest(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        if metadata.get("resourceVersion"):
            raise BadRequest("resourceVersion should not be set on objects to be created")
        generated = not metadata.get("name") and bool(metadata.get("generateName"))
        shape = shape_of(kind)
        check_object(kind, self._clean(kind, shape, obj), request)
        for attempt in range(8):
            new = copy.deepcopy(obj) if generated else obj
            try:
                return await self._create_once(kind, namespace, new, request, shape, applied=applied)
            except AlreadyExists:
                if not generated or attempt == 7:
                    raise
        raise InternalError("unreachable")

    async def _create_once(
        self, kind: Kind, namespace: str, obj: Obj, request: Request, shape: Shape, *, applied: bool
    ) -> StoredObject:
        rules.stamp_new(obj, kind, namespace, self._clock.now())
        if kind.status:
            obj.pop("status", None)
        name = obj["metadata"].get("name", "")
        self._default(kind, shape, obj)
        if not applied:
            shape.track(None, obj, request, "", self._clock.now())
        attributes = self._attributes("CREATE", kind, "", namespace, name, obj, None, request)
        await self._admission.mutate(attributes)
        if self._admission.mutated(attributes):
            self._clean(kind, shape, obj)
            self._default(kind, shape, obj)
        kind.strategy.prepare_create(obj)
        kind.strategy.requested_by(obj, request.user.info())
        reservation = self._allocator.reserve(kind, obj, None)
        try:
            self._validate(kind, shape, obj, None)
            await self._admission.validate(attributes)
            stored = await self._store_new(kind, namespace, obj, request)
        except BaseException:
            reservation.rollback()
            raise
        return self._finish(stored, reservation, request)

    async def _store_new(self, kind: Kind, namespace: str, obj: Obj, request: Request) -> StoredObject:
        name = obj["metadata"]["name"]
        key = key_of(kind.storage, namespace, name)
        value = self._encode(kind, obj)
        if request.dry_run:
            current = await self._store.get(key)
            if current is not None:
                raise AlreadyExists.of(kind.resource.plural, kind.resource.group, name)
            return StoredObject(kind, Record(key, value, self._cache.revision, self._cache.revision))
        try:
            record = await self._store.create(key, value, durability=_durability(kind, namespace, creating=True))
        except KeyExists as error:
            raise AlreadyExists.of(kind.resource.plural, kind.resource.group, name) from error
        except StoreError as error:
            raise _unavailable(error) from error
        return await self._seen(kind, record)

    # ---- update and patch ----------------------------------------------------------------------------

    async def update(
        self, kind: Kind, namespace: str, name: str, obj: Obj, request: Request, *, subresource: str = ""
    ) -> Written:
        metadata = rules.metadata_of(obj)
        self._check_scope(kind, namespace, metadata)
        if metadata.setdefault("name", name) != name:
            raise BadRequest(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        shape = shape_of(kind)
        check_object(kind, self._clean(kind, shape, obj), request)
        if kind.create_on_update and not subresource:
            key = key_of(kind.storage, namespace, name)
            if await self._store.get(key) is None and not metadata.get("resourceVersion"):
                metadata.pop("uid", None)
                return Written(await self.create(kind, namespace, obj, request), created=True)
        return await self._change(
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
        if type is PatchType.APPLY:
            if not isinstance(patch, dict):
                raise BadRequest("error decoding patch: an apply patch is an object")
            rules.metadata_of(patch).setdefault("name", name)
            if patch["metadata"]["name"] != name:
                raise BadRequest(
                    f"the name of the object ({patch['metadata']['name']}) does not match "
                    f"the name on the URL ({name})"
                )
            check_applied(kind, patch, self._clean(kind, shape, patch), request)
            key = key_of(kind.storage, namespace, name)
            if await self._store.get(key) is None and not subresource:
                made = shape.apply(None, copy.deepcopy(patch), request, "", self._clock.now())
                return Written(await self._create(kind, namespace, made, request, applied=True), created=True)

        def change(present: ReadOnlyObj) -> Obj:
            return apply_patch(kind, shape, present, patch, type, request, subresource, self._clock.now())

        return await self._change(
            kind, namespace, name, change, request, subresource, applied=type is PatchType.APPLY
        )

    async def _change(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Change,
        request: Request,
        subresource: str,
        *,
        cleaned: bool = False,
        applied: bool = False,
    ) -> Written:
        shape = shape_of(kind)
        key = key_of(kind.storage, namespace, name)
        for _ in range(RETRIES):
            record = await self._store.get(key)
            if record is None:
                raise NotFound.of(kind.resource.plural, kind.resource.group, name)
            present = StoredObject(kind, record)
            old = present.tree(kind)
            new = change(old)
            asked = rules.metadata_of(new).get("resourceVersion") or ""
            self._check_precondition(kind, name, new, old, asked, record.revision)
            if not cleaned:
                check_patched(new, self._clean(kind, shape, new), request)
            new = split(kind, new, old, subresource)
            rules.keep_system_owned(new, old)
            self._default(kind, shape, new)
            if not applied:
                shape.track(old, new, request, subresource, self._clock.now())
            attributes = self._attributes("UPDATE", kind, subresource, namespace, name, new, old, request)
            await self._admission.mutate(attributes)
            if self._admission.mutated(attributes):
                self._clean(kind, shape, new)
                self._default(kind, shape, new)
            if not subresource:
                kind.strategy.prepare_update(new, old)
            elif subresource == "status":
                kind.strategy.prepare_status(new, old)
            else:
                kind.strategy.prepare_subresource(new, old, subresource)
            counted = subresource not in ("status", "binding") and "generation" in old["metadata"]
            if counted and rules.spec_changed(new, old):
                new["metadata"]["generation"] = old["metadata"]["generation"] + 1
            reservation = self._allocator.reserve(kind, new, old)
            try:
                self._validate(kind, shape, new, old, subresource)
                await self._admission.validate(attributes)
                written = await self._store_changed(kind, namespace, present, new, request)
            except RevisionMismatch as error:
                reservation.rollback()
                if cleaned and asked == str(record.revision) and error.current is not None:
                    raise Conflict.of(kind.resource.plural, kind.resource.group, name, MODIFIED) from error
                continue
            except BaseException:
                reservation.rollback()
                raise
            return Written(self._finish(written, reservation, request))
        raise Conflict.of(kind.resource.plural, kind.resource.group, name, MODIFIED)

    def _check_precondition(
        self, kind: Kind, name: str, new: ReadOnlyObj, old: ReadOnlyObj, asked: str, revision: int
    ) -> None:
        uid = new["metadata"].get("uid")
        if uid and uid != old["metadata"]["uid"]:
            raise Conflict.of(
                kind.resource.plural,
                kind.resource.group,
                name,
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}",
            )
        if asked and asked not in ("0", str(revision)):
            raise Conflict.of(kind.resource.plural, kind.resource.group, name, MODIFIED)

    async def _store_changed(
        self, kind: Kind, namespace: str, present: StoredObject, new: Obj, request: Request
    ) -> StoredObject:
        value = self._encode(kind, new)
        record = present.record
        if same_content(value, record.value):
            return present
        if request.dry_run:
            return StoredObject(kind, msgspec.structs.replace(record, value=value))
        metadata = new["metadata"]
        done = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
        if done and not metadata.get("deletionGracePeriodSeconds") and not kind.strategy.held(new):
            return await self._remove(kind, namespace, msgspec.structs.replace(record, value=value))
        try:
            written = await self._store.update(
                record.key, value, expect=record.revision, durability=_durability(kind, namespace)
            )
        except RevisionMismatch:
            raise
        except StoreError as error:
            raise _unavailable(error) from error
        return await self._seen(kind, written)

    # ---- delete --------------------------------------------------------------------------------------

    async def delete(
        self, kind: Kind, namespace: str, name: str, options: DeleteOptions, request: Request
    ) -> tuple[StoredObject, bool]:
        key = key_of(kind.storage, namespace, name)
        for _ in range(RETRIES):
            record = await self._store.get(key)
            if record is None:
                raise NotFound.of(kind.resource.plural, kind.resource.group, name)
            present = StoredObject(kind, record)
            self._check_delete_preconditions(kind, present, options)
            old = present.tree(kind)
            attributes = self._attributes("DELETE", kind, "", namespace, name, None, old, request)
            await self._admission.mutate(attributes)
            await self._admission.validate(attributes)
            plan = plan_deletion(kind, present, dict(old), options, self._clock.now())
            if request.dry_run:
                return present, plan.now
            try:
                if plan.now:
                    return await self._remove(kind, namespace, record), True
                if plan.marked is None:
                    return present, False
                written = await self._store.update(
                    record.key, self._encode(kind, plan.marked), expect=record.revision
                )
                return await self._seen(kind, written), False
            except RevisionMismatch as error:
                if options.preconditions.get("resourceVersion"):
                    raise Conflict.of(kind.resource.plural, kind.resource.group, name, MODIFIED) from error
            except StoreError as error:
                raise _unavailable(error) from error
        raise Conflict.of(kind.resource.plural, kind.resource.group, name, MODIFIED)

    def _check_delete_preconditions(self, kind: Kind, present: StoredObject, options: DeleteOptions) -> None:
        uid = options.preconditions.get("uid")
        if uid and uid != present.uid:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {present.uid}"
            raise Conflict.of(kind.resource.plural, kind.resource.group, present.name, why)
        revision = options.preconditions.get("resourceVersion")
        if revision and revision != str(present.revision):
            why = (
                f"Precondition failed: ResourceVersion in precondition: {revision}, "
                f"ResourceVersion in object meta: {present.revision}"
            )
            raise Conflict.of(kind.resource.plural, kind.resource.group, present.name, why)

    async def _remove(self, kind: Kind, namespace: str, record: Record) -> StoredObject:
        """The last state, under the deletion's revision. Raises RevisionMismatch."""
        gone = await self._store.delete(
            record.key, expect=record.revision, durability=_durability(kind, namespace, creating=True)
        )
        await self._cache.reached(gone.revision)
        last = StoredObject(kind, msgspec.structs.replace(record, revision=gone.revision))
        self._allocator.release(kind, last.tree(kind))
        return last

    # ---- steps ---------------------------------------------------------------------------------------

    def _check_scope(self, kind: Kind, namespace: str, metadata: Obj) -> None:
        given = metadata.get("namespace") or ""
        if not kind.resource.namespaced:
            return
        if not namespace:
            raise BadRequest("an empty namespace may not be set during creation")
        if given and given != namespace:
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the request"
            )

    def _clean(self, kind: Kind, shape: Shape, obj: Obj) -> list[str]:
        """Bring it into shape; the paths of unknown fields. Raises BadRequest for values of a wrong type."""
        try:
            unknown = shape.clean(obj)
        except WrongType as error:
            resource = kind.resource
            raise BadRequest(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {error}'
            ) from error
        obj["apiVersion"], obj["kind"] = kind.resource.api_version, kind.resource.kind
        return unknown

    def _default(self, kind: Kind, shape: Shape, obj: Obj) -> None:
        shape.default(obj)
        kind.strategy.default(obj)

    def _validate(self, kind: Kind, shape: Shape, new: Obj, old: ReadOnlyObj | None, subresource: str = "") -> None:
        errors: list[FieldError] = []
        strategy = kind.strategy
        errors += rules.validate_metadata(new, strategy.name_problems)
        if old is not None:
            errors += rules.validate_metadata_update(new, old)
        errors += shape.validate(new)
        typed_new = from_dict(kind.type, new)
        typed_old = from_dict(kind.type, old) if old is not None else None
        if subresource == "status" and typed_old is not None:
            errors += strategy.validate_status(typed_new, typed_old)
        elif subresource not in ("", "scale") and typed_old is not None:
            errors += strategy.validate_subresource(typed_new, typed_old, subresource)
        else:
            errors += strategy.validate(typed_new, typed_old)
        if errors:
            name = new["metadata"].get("name", "")
            raise Invalid.of(kind.resource.kind, kind.resource.group, name, errors)

    def _attributes(
        self,
        operation: str,
        kind: Kind,
        subresource: str,
        namespace: str,
        name: str,
        new: Obj | None,
        old: Mapping[str, Any] | None,
        request: Request,
    ) -> Attributes:
        return Attributes(
            operation=operation,
            resource=kind.resource,
            subresource=subresource,
            namespace=namespace,
            name=name,
            object=new,
            old=old,
            user=request.user,
            dry_run=request.dry_run,
            warnings=request.warnings,
            annotations=request.annotations,
        )

    def _encode(self, kind: Kind, obj: Obj) -> bytes:
        obj["apiVersion"], obj["kind"] = kind.resource.api_version, kind.resource.kind
        stored = kind.to_stored(obj) if kind.to_stored else obj
        return to_bytes({**stored, "apiVersion": kind.storage.api_version})

    async def _seen(self, kind: Kind, record: Record) -> StoredObject:
        await self._cache.reached(record.revision)
        current = self._cache.bucket(kind).objects.get(record.key.split("/", 4)[4])
        return (
            current if current is not None and current.revision == record.revision else StoredObject(kind, record)
        )

    def _finish(self, stored: StoredObject, reservation: Reservation, request: Request) -> StoredObject:
        if request.dry_run:
            reservation.rollback()
        else:
            reservation.commit()
        return stored


def _durability(kind: Kind, namespace: str, *, creating: bool = False) -> Durability:
    """Events may be lost in a power cut; renewals of node Leases are not worth a disk write."""
    if kind.events_ttl:
        return Durability.BEHIND
    if kind.resource.plural == "leases" and namespace == "kube-node-lease" and not creating:
        return Durability.MEMORY
    return Durability.DURABLE


def _unavailable(error: StoreError) -> ServiceUnavailable:
    return ServiceUnavailable(f"the datastore failed: {error}", retry_after=1)
