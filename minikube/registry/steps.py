"""The steps of a write that need neither store nor cache: pure, but that objects are changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minikube.admission.base import Attributes
from minikube.api.meta import from_dict
from minikube.api.well_known import NODE_LEASES
from minikube.errors import BadRequest, Conflict, FieldError, Invalid, ServiceUnavailable
from minikube.registry import metadata as rules
from minikube.registry.base import DeleteOptions, Request
from minikube.registry.shape import Shape
from minikube.registry.stored import StoredObject, to_bytes
from minikube.registry.strictness import patch_error, shown_patch
from minikube.resources.base import Kind, Obj, ReadOnlyObj
from minikube.schema.clean import WrongType
from minikube.store.base import Durability
from minikube.store.errors import StoreError

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def take_name(metadata: Obj, name: str) -> None:
    """An object without a name takes the URL's. Raises BadRequest when they differ."""
    if metadata.setdefault("name", name) != name:
        raise BadRequest(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")


def check_scope(kind: Kind, namespace: str, metadata: Obj) -> None:
    """Raises BadRequest when the object says another namespace than the URL."""
    given = metadata.get("namespace") or ""
    if not kind.resource.namespaced:
        return
    if not namespace:
        raise BadRequest("an empty namespace may not be set during creation")
    if given and given != namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def check_update(kind: Kind, name: str, new: ReadOnlyObj, old: ReadOnlyObj, asked: str, revision: int) -> None:
    """`asked`: the resourceVersion that the client wants to change. Raises Conflict when uid or revision differ."""
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


def check_deletion(kind: Kind, present: StoredObject, options: DeleteOptions) -> None:
    """Raises Conflict when the object is not the one that the preconditions name."""
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


def clean(kind: Kind, shape: Shape, obj: Obj) -> list[str]:
    """Bring it into shape; the paths of unknown fields. Raises BadRequest for values of a wrong type."""
    try:
        unknown = shape.clean(obj)
    except WrongType as error:
        resource = kind.resource
        raise BadRequest(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {error}'
        ) from error
    obj["apiVersion"], obj["kind"] = kind.resource.api_version, kind.resource.kind
    rules.drop_empty(obj)
    return unknown


def clean_patched(shape: Shape, kind: Kind, obj: Obj, sent: ReadOnlyObj | None) -> list[str]:
    """As `clean`, of what a patch made; `sent`: a strategic merge patch. Raises Invalid, in the decoder's words."""
    try:
        unknown = shape.clean(obj)
    except WrongType as error:
        raise patch_error(shown_patch(obj, sent), error.message if sent is None else error.converting) from error
    obj["apiVersion"], obj["kind"] = kind.resource.api_version, kind.resource.kind
    rules.drop_empty(obj)
    return unknown


def default(kind: Kind, shape: Shape, obj: Obj) -> None:
    """First the schema's defaults, then those that only the kind's strategy knows."""
    shape.default(obj)
    kind.strategy.default(obj)


def prepare_change(kind: Kind, new: Obj, old: ReadOnlyObj, subresource: str) -> None:
    """The strategy's hook for this (sub)resource; whatever changes a spec makes the generation grow."""
    if not subresource:
        kind.strategy.prepare_update(new, old)
    elif subresource == "status":
        kind.strategy.prepare_status(new, old)
    else:
        kind.strategy.prepare_subresource(new, old, subresource)
    if subresource not in ("status", "binding"):
        rules.count(kind, new, old)


def validate(
    kind: Kind, shape: Shape, new: Obj, old: ReadOnlyObj | None, request: Request, subresource: str = ""
) -> None:
    """Metadata, structure, then the strategy's rules; what is valid but unwise goes to the request's warnings.
    Raises Invalid with all that is wrong."""
    errors: list[FieldError] = []
    strategy = kind.strategy
    errors += rules.validate_metadata(new, strategy.name_problems)
    if old is not None:
        errors += rules.validate_metadata_update(new, old)
    errors += shape.validate(new, old)
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
    if request.warned:
        if subresource == "status" and typed_old is not None:
            request.warnings.extend(strategy.status_warnings(typed_new, typed_old))
        elif subresource in ("", "scale"):
            request.warnings.extend(strategy.warnings(typed_new, typed_old))


def attributes_of(
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


def encode(kind: Kind, obj: Obj) -> bytes:
    """JSON in the version in which the kind is stored."""
    obj["apiVersion"], obj["kind"] = kind.resource.api_version, kind.resource.kind
    stored = kind.to_stored(obj) if kind.to_stored else obj
    return to_bytes({**stored, "apiVersion": kind.storage.api_version})


def durability_of(kind: Kind, namespace: str, *, creating: bool = False) -> Durability:
    """Events may be lost in a power cut; renewals of node Leases are not worth a disk write."""
    if kind.events_ttl:
        return Durability.BEHIND
    if kind.resource.plural == "leases" and namespace == NODE_LEASES and not creating:
        return Durability.MEMORY
    return Durability.DURABLE


def unavailable(error: StoreError) -> ServiceUnavailable:
    return ServiceUnavailable(f"the datastore failed: {error}", retry_after=1)
