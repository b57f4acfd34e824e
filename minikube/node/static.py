"""Static pods: manifests in a directory of the node, run without being asked, shown in the API by mirror pods.

Rules of pkg/kubelet/config (common.go, file.go) and pkg/kubelet/pod/mirror_client.go.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.structs import replace

from minikube.api.core_v1 import Node, Pod, PodStatus, Toleration
from minikube.api.meta import OwnerReference, from_dict, replace_meta
from minikube.api.well_known import MIRROR_POD
from minikube.client.base import Client
from minikube.errors import AlreadyExists, ApiError, Conflict, FieldError, NotFound
from minikube.kit.clock import Clock
from minikube.kit.inotify import stirring
from minikube.node.pod.pods import CONFIG_HASH_ANNOTATION, SOURCE_ANNOTATION, every_container, full_name
from minikube.resources.rules.pod import PodRules

log = logging.getLogger(__name__)

SETTLE = 0.2
"""Seconds in which an editor is done with the several steps of a save."""
POD = "io.k8s.api.core.v1.Pod"


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
            if full_name(pod) == (namespace, name):
                return pod
        return None

    def _read(self) -> dict[str, Pod]:
        found: dict[str, Pod] = {}
        for path in self._files():
            try:
                pod = static_pod(path.read_bytes(), str(path), self._node)
            except (OSError, ValueError, yaml.YAMLError, msgspec.ValidationError) as error:
                self._refuse(path, str(error))
                continue
            if any(full_name(each) == full_name(pod) for each in found.values()):
                self._refuse(path, f"ignored: another manifest has a pod named {'/'.join(full_name(pod))}")
                continue
            self._bad.pop(str(path), None)
            found[pod.metadata.uid] = pod
        return found

    def _refuse(self, path: Path, why: str) -> None:
        """Told once, until something else is the matter with it."""
        if self._bad.get(str(path)) != why:
            log.warning("static pod %s: %s", path, why)
            self._bad[str(path)] = why

    def _files(self) -> Iterator[Path]:
        if self._directory.is_dir():
            for path in sorted(self._directory.iterdir()):
                if not path.name.startswith(".") and path.is_file():
                    yield path


def static_pod(manifest: bytes, path: str, node_name: str) -> Pod:
    """The pod of a manifest as this node runs it. Raises ValueError, yaml.YAMLError, msgspec.ValidationError."""
    tree: Any = yaml.safe_load(manifest)
    if not isinstance(tree, Mapping) or tree.get("kind") != "Pod":
        raise ValueError("a Pod is expected")
    pod = _defaulted(tree)
    if why := ", ".join(map(str, _errors(pod))):
        raise ValueError(f"invalid pod: {why}")
    if what := api_object(pod):
        raise ValueError(f"static pods may not reference {what}")
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


def _defaulted(tree: Mapping[str, Any]) -> Pod:
    """As the API would have it. Raises ValueError."""
    from minikube.schema.clean import WrongType, clean  # a node without static pods does not load these
    from minikube.schema.defaults import apply_defaults
    from minikube.schema.structure import builtin

    found, structure = deepcopy(dict(tree)), builtin(POD)
    try:
        clean(found, structure)
    except WrongType as error:
        raise ValueError(str(error)) from error
    apply_defaults(found, structure)
    return from_dict(Pod, found)


def _errors(pod: Pod) -> Iterator[FieldError]:
    if not pod.metadata.name:
        yield FieldError("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")
    yield from PodRules().validate(pod, None)


def api_object(pod: Pod) -> str:
    """What a pod needs of the API; a static one needs nothing (podutil.HasAPIObjectReference)."""
    spec = pod.spec
    sources = [source for each in spec.volumes if each.projected is not None for source in each.projected.sources]
    variables = [each.value_from for one in every_container(pod) for each in one.env if each.value_from is not None]
    froms = [each for one in every_container(pod) for each in one.env_from]
    needed = {
        "serviceaccounts": bool(spec.service_account_name),
        "secrets": bool(spec.image_pull_secrets)
        or any(each.secret is not None for each in spec.volumes)
        or any(each.secret is not None for each in sources)
        or any(each.secret_ref is not None for each in froms)
        or any(each.secret_key_ref is not None for each in variables),
        "configmaps": any(each.config_map is not None for each in spec.volumes)
        or any(each.config_map is not None for each in sources)
        or any(each.config_map_ref is not None for each in froms)
        or any(each.config_map_key_ref is not None for each in variables),
        "persistentvolumeclaims": any(each.persistent_volume_claim or each.ephemeral for each in spec.volumes),
        "resourceclaims": bool(spec.resource_claims),
        "csidrivers": any(each.csi is not None for each in spec.volumes),
        "clustertrustbundles": any(each.cluster_trust_bundle is not None for each in sources),
    }
    return next((what for what, needs in needed.items() if needs), "")


def mirrors(mirror: Pod, static: Pod) -> bool:
    """Whether this mirror shows this very version of the static pod."""
    annotations = static.metadata.annotations
    return mirror.metadata.annotations.get(MIRROR_POD) == annotations[CONFIG_HASH_ANNOTATION]


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
            annotations = {**meta.annotations, MIRROR_POD: meta.annotations[CONFIG_HASH_ANNOTATION]}
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
