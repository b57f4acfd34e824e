"""Custom resources in another version than they are stored in, where their definition names a conversion webhook.

What is stored keeps the version that was the storage version when it was written; each version that somebody asks
for is made once for a revision, and kept with the object. Rules and words: apiextensions-apiserver's
webhook_converter.go.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from minikube.admission.webhooks.base import Caller, CallFailed
from minikube.errors import ApiError
from minikube.registry.stored import StoredObject, to_bytes
from minikube.resources.base import Conversion, Kind, Obj, ReadOnlyObj
from minikube.resources.rules.labelling import annotation_names, labels

GROUP = "apiextensions.k8s.io"
VERSIONS = ("v1", "v1beta1")
"""Of ConversionReview, that are spoken here."""
TIMEOUT = 30.0
AT_ONCE = 100
"""Objects in one review."""


class ConversionFailed(ApiError):
    reason = ""


class Refused(Exception):
    """What a webhook said is no answer; the message is what follows `conversion webhook for …`."""


class Converting:
    """`caller` carries reviews; it may be set after construction."""

    caller: Caller | None = None

    async def show(self, kind: Kind, found: Sequence[StoredObject]) -> None:
        """From here on each has a tree in the version of this kind. Raises ConversionFailed."""
        if kind.conversion is None:
            return
        wanted = kind.resource.api_version
        todo = [each for each in found if each.lacks(kind)]
        for start in range(0, len(todo), AT_ONCE):
            some = todo[start : start + AT_ONCE]
            made = await self._converted(kind.conversion, [each.stored_tree() for each in some], wanted)
            for each, tree in zip(some, made, strict=True):
                each.keep(kind, to_bytes(tree))

    async def store(self, kind: Kind, obj: Obj) -> Obj:
        """It as its kind's storage version. Raises ConversionFailed."""
        if kind.conversion is None or kind.storage == kind.resource:
            return obj
        return await self.convert(kind.conversion, obj, kind.storage.api_version)

    async def convert(self, how: Conversion, obj: ReadOnlyObj, wanted: str) -> Obj:
        """One object in the apiVersion that is wanted. Raises ConversionFailed."""
        (made,) = await self._converted(how, [obj], wanted)
        return made

    async def _converted(self, how: Conversion, trees: Sequence[ReadOnlyObj], wanted: str) -> Sequence[Obj]:
        first = trees[0]
        about = f"conversion webhook for {first['apiVersion']}, Kind={first['kind']}"
        uid = str(uuid.uuid4())
        try:
            if self.caller is None:
                raise Refused("failed: nobody carries it")
            body = msgspec.json.encode(question(how.review_versions, uid, trees, wanted))
            said = await self.caller.call(how.target, body, timeout=TIMEOUT)
            return list(converted(trees, answer(said, uid), wanted))
        except CallFailed as error:
            raise ConversionFailed(f"{about} failed: {error}") from error
        except Refused as error:
            raise ConversionFailed(f"{about} {error}") from error


def question(versions: Sequence[str], uid: str, objects: Sequence[ReadOnlyObj], wanted: str) -> dict[str, Any]:
    """A ConversionReview of the first version that is known on both sides."""
    spoken = next(version for version in versions if version in VERSIONS)
    asked = {"uid": uid, "desiredAPIVersion": wanted, "objects": list(objects)}
    return {"kind": "ConversionReview", "apiVersion": f"{GROUP}/{spoken}", "request": asked}


def answer(body: bytes, uid: str) -> Sequence[Any]:
    """The objects. Raises Refused."""
    try:
        review = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Refused(f"failed: couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(review, dict) or review.get("kind") != "ConversionReview":
        got = review.get("kind", "") if isinstance(review, dict) else ""
        raise Refused(f"failed: expected webhook response of {GROUP}/v1, Kind=ConversionReview, got Kind={got}")
    said = review.get("response")
    if not isinstance(said, dict):
        raise Refused("failed: no response provided")
    if review.get("apiVersion") == f"{GROUP}/v1" and said.get("uid") != uid:
        raise Refused(f'failed: expected response.uid="{uid}", got "{said.get("uid", "")}"')
    result = said.get("result") or {}
    if result.get("status") != "Success":
        unsaid = f"response.result.status was '{result.get('status', '')}', not 'Success'"
        raise Refused(f"failed: {result.get('message') or unsaid}")
    return list(said.get("convertedObjects") or ())


def converted(originals: Sequence[ReadOnlyObj], made: Sequence[Any], wanted: str) -> Iterator[Obj]:
    """What was made of each, with nothing of its metadata changed but labels and annotations. Raises Refused."""
    if len(made) != len(originals):
        raise Refused(f"returned {len(made)} objects, expected {len(originals)}")
    for index, (original, new) in enumerate(zip(originals, made, strict=True)):
        about = f"returned invalid converted object at index {index}:"
        if not isinstance(new, dict):
            raise Refused(f"{about} an object is expected")
        if new.get("apiVersion") != wanted:
            got = new.get("apiVersion", "")
            raise Refused(f"{about} invalid groupVersion (expected {wanted}, received {got})")
        if new.get("kind") != original["kind"]:
            raise Refused(f"{about} invalid kind (expected {original['kind']}, received {new.get('kind', '')})")
        said = new.get("metadata")
        if not isinstance(said, dict):
            raise Refused(
                f"returned invalid metadata in object at index {index}: missing metadata in converted object"
            )
        for field, name in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
            was, now = original["metadata"].get(field, ""), said.get(field, "")
            if was != now:
                raise Refused(f"{about} must have the same {name}: {was} != {now}")
        try:
            yield {**new, "metadata": dict(_restored(original["metadata"], said))}
        except Refused as error:
            raise Refused(f"returned invalid metadata in object at index {index}: {error}") from error


def _restored(original: ReadOnlyObj, said: ReadOnlyObj) -> Iterator[tuple[str, Any]]:
    checks = {"labels": labels, "annotations": annotation_names}
    for name, value in original.items():
        if name not in checks:
            yield name, value
    for name, check in checks.items():
        pairs = said.get(name)
        if pairs is None:
            continue
        if not isinstance(pairs, dict):
            raise Refused(f"invalid metadata.{name} of type {type(pairs).__name__} in converted object")
        for key, value in pairs.items():
            if not isinstance(value, str):
                what = f"must be a string, but is {type(value).__name__} in converted object"
                raise Refused(f"metadata.{name}[{key}] {what}")
        if errors := list(check(pairs, f"metadata.{name}")):
            raise Refused(", ".join(str(error) for error in errors))
        yield name, pairs
