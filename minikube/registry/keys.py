"""Where objects live in the store: /registry/<group or core>/<plural>/<namespace or ->/<name>."""

from __future__ import annotations

from minikube.api.meta import Resource

ROOT = "/registry/"
CLUSTER = "-"
"""Stands for the namespace of cluster-scoped kinds, so that every key has the same number of parts."""


def bucket_of(resource: Resource) -> str:
    """The prefix of all objects of a kind."""
    return f"{ROOT}{resource.group or 'core'}/{resource.plural}/"


def path_of(resource: Resource, namespace: str, name: str) -> str:
    """The rest of an object's key: what it is called in its bucket."""
    return f"{namespace if resource.namespaced else CLUSTER}/{name}"


def key_of(resource: Resource, namespace: str, name: str) -> str:
    return bucket_of(resource) + path_of(resource, namespace, name)


def split_key(key: str) -> tuple[str, str]:
    """The bucket and the path of a key."""
    _, _, group, plural, rest = key.split("/", 4)
    return f"{ROOT}{group}/{plural}/", rest
