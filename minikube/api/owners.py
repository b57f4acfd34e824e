"""Owner references: who controls an object, and how an object says that it is somebody's."""

from __future__ import annotations

from minikube.api.meta import Object, OwnerReference


def controller_of(obj: Object) -> OwnerReference | None:
    """The one owner that manages this object, if there is one."""
    for owner in obj.metadata.owner_references:
        if owner.controller:
            return owner
    return None


def controlled_by(obj: Object, owner: Object) -> bool:
    """By uid: a namesake of the owner is somebody else."""
    found = controller_of(obj)
    return found is not None and found.uid == owner.metadata.uid


def controller_reference(owner: Object) -> OwnerReference:
    """What an object carries whose managing controller works for `owner`."""
    resource = type(owner).resource
    return OwnerReference(
        api_version=resource.api_version,
        kind=resource.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )
