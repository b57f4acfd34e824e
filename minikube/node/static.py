"""Static pods: manifests in a directory of the node, run without being asked, shown in the API by mirror pods.

Rules of pkg/kubelet/config (common.go, file.go) and pkg/kubelet/pod/mirror_client.go.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.structs import replace

from minikube.api.core_v1 import Node, Pod, PodStatus, Toleration
from minikube.api.meta import OwnerReference, from_dict, replace_meta
from minikube.client.base import Client
from minikube.errors import AlreadyExists, ApiError, Conflict, NotFound
from minikube.kit.clock import Clock
from minikube.kit.inotify import stirring
from minikube.node.pod.pods import CONFIG_HASH_ANNOTATION, MIRROR_ANNOTATION, SOURCE_ANNOTATION

log = logging.getLogger(__name__)

SETTLE = 0.2
"""Seconds in which an editor is done with the several steps of a save."""
SUFFIXES = (".yaml", ".yml", ".json")


class StaticPods:
    """`changed(old, new)` is called as an informer calls its handlers. Raises nothing: bad files are logged."""

    def __init__(
        self, directory: Path, node_name: str, clock: Clock, changed: Callable[[Pod | None, Pod | None], None]
    ) -> None:
        self._directory, self._node, self._clock = directory, node_name, clock
        self._changed = changed
        self.pods: dict[str, Pod] = {}
        """By uid."""
        self._bad: dict[str, str] = {}

    async def load(self) -> None:
        """Read the directory, made if need be, and tell nobody: what is there before pods are looked after."""
        await asyncio.to_thread(self._made)
        self.pods = await asyncio.to_thread(self._read)

    async def run(self) -> None:
        """Follow the directory until cancelled. Raises OSError: it cannot be watched."""
        for pod in self.pods.values():
            self._changed(None, pod)
        while True:
            stirred = asyncio.Event()
            await asyncio.to_thread(self._made)
            with stirring(self._directory, stirred):
                await self._look()
                await stirred.wait()
            await self._clock.sleep(SETTLE)

    def _made(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)

    async def _look(self) -> None:
        found = await asyncio.to_thread(self._read)
        before, self.pods = self.pods, found
        for uid in before.keys() - found.keys():
            self._changed(before[uid], None)
        for uid in found.keys() - before.keys():
            self._changed(None, found[uid])

    def named(self, namespace: str, name: str) -> Pod | None:
        for pod in self.pods.values():
            if (pod.metadata.namespace, pod.metadata.name) == (namespace, name):
                return pod
        return None

    def _read(self) -> dict[str, Pod]:
        found = {}
        for path in self._files():
            try:
                pod = static_pod(path.read_bytes(), str(path), self._node)
            except (OSError, ValueError, yaml.YAMLError, msgspec.ValidationError) as error:
                if self._bad.get(str(path)) != str(error):
                    log.warning("static pod %s: %s", path, error)
                    self._bad[str(path)] = str(error)
                continue
            self._bad.pop(str(path), None)
            found[pod.metadata.uid] = pod
        return found

    def _files(self) -> Iterator[Path]:
        if self._directory.is_dir():
            for path in sorted(self._directory.iterdir()):
                if path.suffix in SUFFIXES and not path.name.startswith("."):
                    yield path


def static_pod(manifest: bytes, path: str, node_name: str) -> Pod:
    """The pod of a manifest as this node runs it. Raises ValueError, yaml.YAMLError, msgspec.ValidationError."""
    tree: Any = yaml.safe_load(manifest)
    if not isinstance(tree, Mapping) or tree.get("kind") != "Pod":
        raise ValueError("a Pod is expected")
    pod = from_dict(Pod, tree)
    if not pod.metadata.name or not pod.spec.containers:
        raise ValueError("metadata.name and spec.containers are required")
    digest = hashlib.sha256(f"{node_name}\0{path}\0".encode() + manifest).hexdigest()[:32]
    annotations = {**pod.metadata.annotations, SOURCE_ANNOTATION: "file", CONFIG_HASH_ANNOTATION: digest}
    named = replace_meta(
        pod,
        name=f"{pod.metadata.name}-{node_name}",
        namespace=pod.metadata.namespace or "default",
        uid=pod.metadata.uid or digest,
        annotations=annotations,
    )
    tolerations = (*pod.spec.tolerations, Toleration(operator="Exists", effect="NoExecute"))
    spec = replace(pod.spec, node_name=node_name, tolerations=tolerations, automount_service_account_token=False)
    return replace(named, spec=spec, status=PodStatus(phase="Pending"))


def mirrors(mirror: Pod, static: Pod) -> bool:
    """Whether this mirror shows this very version of the static pod."""
    annotations = static.metadata.annotations
    return mirror.metadata.annotations.get(MIRROR_ANNOTATION) == annotations[CONFIG_HASH_ANNOTATION]


class Mirrors:
    """Makes and removes mirror pods; what goes wrong is tried again when the pod is looked at next."""

    def __init__(self, client: Client, node_name: str) -> None:
        self._client, self._node = client, node_name

    async def create(self, static: Pod) -> Pod | None:
        """The mirror, or None when it cannot be made now."""
        meta = static.metadata
        try:
            node = await self._client.get(Node, self._node)
            owner = OwnerReference(
                api_version="v1", kind="Node", name=self._node, uid=node.metadata.uid, controller=True
            )
            annotations = {**meta.annotations, MIRROR_ANNOTATION: meta.annotations[CONFIG_HASH_ANNOTATION]}
            wanted = replace_meta(static, uid="", annotations=annotations, owner_references=(owner,))
            return await self._client.create(replace(wanted, status=PodStatus()))
        except AlreadyExists:
            return None
        except (ApiError, OSError) as error:
            log.warning("mirror pod %s/%s: %s", meta.namespace, meta.name, error)
            return None

    async def delete(self, mirror: Pod) -> None:
        meta = mirror.metadata
        try:
            await self._client.delete(Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0)
        except (NotFound, Conflict):
            return
        except (ApiError, OSError) as error:
            log.warning("mirror pod %s/%s: %s", meta.namespace, meta.name, error)
