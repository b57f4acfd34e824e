"""Finalizers that keep what is in use: pure."""

from __future__ import annotations

from minikube.api.meta import T, replace_meta


def protected(obj: T, finalizer: str, *, used: bool) -> T:
    """What lives has the finalizer; what is to go keeps it while it is used. The very same object if that is so."""
    present = obj.metadata.finalizers
    if obj.metadata.deletion_timestamp is None:
        return obj if finalizer in present else replace_meta(obj, finalizers=(*present, finalizer))
    if used or finalizer not in present:
        return obj
    return replace_meta(obj, finalizers=tuple(each for each in present if each != finalizer))
