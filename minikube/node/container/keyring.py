"""Which credentials of a pod's pull secrets fit an image. Rules: pkg/credentialprovider of the kubelet."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from minikube.api.core_v1 import Secret
from minikube.node.runtime.archive import full_name
from minikube.node.runtime.base import Auth

HUB = "docker.io"
_HUB_NAMES = ("index.docker.io", "registry-1.docker.io")


def credentials(secrets: Iterable[Secret], image: str) -> tuple[Auth, ...]:
    """Every one to try, the most specific registry path first; secrets that cannot be read count for nothing."""
    reference = full_name(image)
    found = [
        (pattern, _auth(entry))
        for secret in secrets
        for server, entry in _entries(secret).items()
        if matches(pattern := _bare(server), reference)
    ]
    found.sort(key=lambda each: each[0], reverse=True)
    return tuple(dict.fromkeys(auth for _, auth in found))


def matches(pattern: str, reference: str) -> bool:
    """`pattern` is host[:port][/path]; each label of its host may be a glob; its path is a prefix."""
    host, _, path = pattern.partition("/")
    actual, _, rest = reference.partition("/")
    name, _, port = host.partition(":")
    actual_name, _, actual_port = actual.partition(":")
    labels, actual_labels = name.split("."), actual_name.split(".")
    return (
        port == actual_port
        and len(labels) == len(actual_labels)
        and all(fnmatchcase(label, glob) for glob, label in zip(labels, actual_labels, strict=True))
        and rest.startswith(path)
    )


def _bare(server: str) -> str:
    """https://index.docker.io/v1/ is docker.io."""
    bare = server.removeprefix("https://").removeprefix("http://").rstrip("/")
    host, _, path = bare.partition("/")
    if path in ("v1", "v2") or path.startswith(("v1/", "v2/")):
        path = path[3:]
    host = HUB if host in _HUB_NAMES else host
    return f"{host}/{path}" if path else host


def _entries(secret: Secret) -> Mapping[str, Any]:
    """The auths of a kubernetes.io/dockerconfigjson or legacy kubernetes.io/dockercfg secret."""
    for key, inner in ((".dockerconfigjson", "auths"), (".dockercfg", "")):
        if key in secret.data:
            try:
                found = json.loads(base64.b64decode(secret.data[key]))
                return dict(found.get(inner, {}) if inner else found)
            except (ValueError, AttributeError):
                return {}
    return {}


def _auth(entry: Mapping[str, Any]) -> Auth:
    user, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return Auth(
        username=user,
        password=password,
        identity_token=entry.get("identitytoken", ""),
        registry_token=entry.get("registrytoken", ""),
    )
