"""References to images (library.Image), by the rules of go-containerregistry's lenient parser."""

from __future__ import annotations

import re
from typing import NamedTuple

from minikube.schema.cel_library.values import BOOL, MAP, STRING, Library, Opaque, accepts, text_of

IMAGE = "kubernetes.Image"
_HUB = "index.docker.io"
_REPOSITORY = re.compile(r"[a-z0-9_.-]+(?:/[a-z0-9_.-]+)*")
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class _Reference(NamedTuple):
    registry: str
    repository: str
    tag: str
    digest: str


def _parse(text: str) -> _Reference:
    """Raises ValueError."""
    name, at, digest = text.partition("@")
    base, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        base, colon, tag = name, "", ""
    registry, slash, repository = base.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, repository = _HUB, base
    if registry == "docker.io":
        registry = _HUB
    if registry == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    good = _REPOSITORY.fullmatch(repository) and 2 <= len(repository) <= 255 and base
    if not good or (colon and not _TAG.fullmatch(tag)) or (at and not _DIGEST.fullmatch(digest)):
        raise ValueError(f"could not parse reference: {text}")
    return _Reference(registry, repository, "" if at else tag or "latest", digest)


def _image(text: str) -> Opaque:
    _parse(text)
    return {IMAGE: text}


def _of(value: Opaque) -> _Reference:
    return _parse(text_of(value, IMAGE))


FUNCTIONS: Library = {
    "image": ((MAP, (STRING,), _image),),
    "isImage": ((BOOL, (STRING,), accepts(_parse)),),
}
MEMBERS: Library = {
    "containsDigest": ((BOOL, (MAP,), lambda image: bool(_of(image).digest)),),
    "registry": ((STRING, (MAP,), lambda image: _of(image).registry),),
    "repository": ((STRING, (MAP,), lambda image: _of(image).repository),),
    "identifier": ((STRING, (MAP,), lambda image: _of(image).digest or _of(image).tag),),
    "tag": ((STRING, (MAP,), lambda image: _of(image).tag),),
    "digest": ((STRING, (MAP,), lambda image: _of(image).digest),),
}
