"""What the local-path provisioner and the agents agree on: a volume is a directory on one node.

The provisioner writes the volume (path below what the node announces, node affinity, finalizer); the node's agent
makes the directory when a pod first mounts it and removes it, then the finalizer, when the volume is deleted.
"""

from __future__ import annotations

from minikube.api.core_v1 import PersistentVolume
from minikube.api.volumes import PROVISIONED_BY

PROVISIONER = "minikube.io/local-path"
CLASS = "local-path"
FINALIZER = "minikube.io/local-path"
DIRECTORY = "minikube.io/storage-directory"
"""Annotation of a Node: where its agent keeps volumes."""
HOSTNAME = "kubernetes.io/hostname"


def is_local_path(volume: PersistentVolume) -> bool:
    return volume.metadata.annotations.get(PROVISIONED_BY) == PROVISIONER and volume.spec.local is not None


def directory_name(volume: str, namespace: str, claim: str) -> str:
    """Tells people which claim a directory belongs to, and us (`names`) that it is the volume's."""
    return f"{volume}_{namespace}_{claim}"


def names(directory: str, volume: str) -> bool:
    return directory.startswith(f"{volume}_")


def node_of(volume: PersistentVolume) -> str:
    """The hostname that a provisioned volume is pinned to; empty if there is none."""
    affinity = volume.spec.node_affinity
    for term in affinity.required.node_selector_terms if affinity and affinity.required else ():
        for one in term.match_expressions:
            if one.key == HOSTNAME and one.operator == "In" and one.values:
                return one.values[0]
    return ""
