"""The local-path provisioner: for each claim of its class a volume that is a directory on the chosen node.

It works as external provisioners do (sig-storage-lib-external-provisioner): by annotations of the claim, through
the same events. `minikube.api.local_path` says what the agents do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from minikube.api import local_path, quantity
from minikube.api import volumes as rules
from minikube.api.core_v1 import (
    LocalVolumeSource,
    Node,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
)
from minikube.api.meta import Key, ObjectMeta, key_of, replace_meta
from minikube.api.storage_v1 import StorageClass
from minikube.controllers.base import After, Context, Watch, itself
from minikube.errors import AlreadyExists, NotFound


class Refused(msgspec.Struct, frozen=True):
    """It can't be made; `reschedule`: the scheduler is to choose another node."""

    why: str
    reschedule: bool = False


class NotYet(msgspec.Struct, frozen=True):
    """Nothing to do, or not before the scheduler has chosen a node."""


def choose_node(claim: PersistentVolumeClaim, of: StorageClass, nodes: Sequence[Node]) -> Node | Refused | NotYet:
    """The scheduler's choice; for Immediate binding the first node that is ready and of an allowed topology."""
    selected = claim.metadata.annotations.get(rules.SELECTED_NODE)
    if selected:
        for node in nodes:
            if node.metadata.name == selected:
                return node
        return Refused(f'failed to get target node: node "{selected}" not found', reschedule=True)
    if rules.waits_for_consumer(of):
        return NotYet()
    for node in sorted(nodes, key=lambda one: one.metadata.name):
        ready = any(one.type == "Ready" and one.status == "True" for one in node.status.conditions)
        if ready and not node.spec.unschedulable and rules.allowed_on(of, node):
            return node
    return Refused("no node is ready for a volume")


def volume_for(claim: PersistentVolumeClaim, of: StorageClass, node: Node, directory: str) -> PersistentVolume:
    """`directory` is where the node's agent keeps volumes."""
    meta, name = claim.metadata, f"pvc-{claim.metadata.uid}"
    hostname = node.metadata.labels.get(local_path.HOSTNAME, node.metadata.name)
    here = NodeSelectorRequirement(key=local_path.HOSTNAME, operator="In", values=(hostname,))
    terms = (NodeSelectorTerm(match_expressions=(here,)),)
    return PersistentVolume(
        metadata=ObjectMeta(
            name=name,
            annotations={rules.PROVISIONED_BY: local_path.PROVISIONER},
            finalizers=(local_path.FINALIZER,),
        ),
        spec=PersistentVolumeSpec(
            access_modes=claim.spec.access_modes,
            capacity={"storage": rules.requested(claim)},
            claim_ref=rules.reference_to(claim),
            local=LocalVolumeSource(
                path=f"{directory}/{local_path.directory_name(name, meta.namespace, meta.name)}"
            ),
            mount_options=of.mount_options,
            node_affinity=VolumeNodeAffinity(required=NodeSelector(node_selector_terms=terms)),
            persistent_volume_reclaim_policy=of.reclaim_policy or "Delete",
            storage_class_name=of.metadata.name,
            volume_mode="Filesystem",
        ),
    )


def refusal(claim: PersistentVolumeClaim) -> str:
    """What of a claim a directory can't be; empty if it can."""
    if claim.spec.volume_mode == "Block":
        return "block volumes are not supported"
    if claim.spec.selector is not None:
        return "claim.Spec.Selector is not supported"
    if claim.spec.data_source is not None or claim.spec.data_source_ref is not None:
        return "data sources are not supported"
    return ""


class LocalPathProvisioner:
    """A key with a namespace is a claim, one without a volume."""

    name: ClassVar[str] = "local-path-provisioner"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._client, self._events, self._settings = context.client, context.events, context.settings
        self._claims = context.informers.of(PersistentVolumeClaim).lister
        self._volumes = context.informers.of(PersistentVolume).lister
        self._classes = context.informers.of(StorageClass).lister
        self._nodes = context.informers.of(Node).lister
        self.watches = (
            itself(PersistentVolumeClaim),
            Watch(PersistentVolume, self._of_volume),
            Watch(Node, self._of_node),
        )

    def _of_volume(self, volume: PersistentVolume) -> Iterable[Key]:
        """Itself; once it is bound or grown, its claim too."""
        if local_path.is_local_path(volume):
            yield key_of(volume)
            if (reference := volume.spec.claim_ref) is not None:
                yield Key(reference.namespace, reference.name)

    def _of_node(self, node: Node) -> Iterable[Key]:
        """A node that comes or goes: what waits for it."""
        if self._nodes.get(node.metadata.name) is not None:
            for claim in self._claims.list():
                if not claim.spec.volume_name and self._mine(claim):
                    yield key_of(claim)
            return
        for volume in self._volumes.list():
            if local_path.is_local_path(volume) and volume.metadata.deletion_timestamp is not None:
                yield key_of(volume)

    @staticmethod
    def _mine(claim: PersistentVolumeClaim) -> bool:
        return claim.metadata.annotations.get(rules.PROVISIONER) == local_path.PROVISIONER

    async def reconcile(self, key: Key) -> After | None:
        if not key.namespace:
            volume = self._volumes.get(key.name)
            if volume is not None and local_path.is_local_path(volume):
                await self._volume(volume)
            return None
        claim = self._claims.get(key.name, key.namespace)
        if claim is not None and self._mine(claim):
            if not claim.spec.volume_name:
                await self._provision(claim)
            elif claim.status.phase == "Bound":
                await self._expand(claim)
        return None

    # ---- claims --------------------------------------------------------------------------------------

    async def _provision(self, claim: PersistentVolumeClaim) -> None:
        of = self._classes.get(rules.class_of_claim(claim))
        if of is None or claim.metadata.deletion_timestamp is not None:
            return
        if self._volumes.get(f"pvc-{claim.metadata.uid}") is not None:
            return
        node = choose_node(claim, of, self._nodes.list())
        if isinstance(node, NotYet):
            return
        if (why := refusal(claim)) and isinstance(node, Node):
            node = Refused(why)
        if isinstance(node, Refused):
            await self._refuse(claim, of, node)
            return
        where = f"{claim.metadata.namespace}/{claim.metadata.name}"
        text = f'External provisioner is provisioning volume for claim "{where}"'
        self._events.normal(claim, "Provisioning", text)
        directory = node.metadata.annotations.get(local_path.DIRECTORY, str(self._settings.storage_dir))
        volume = volume_for(claim, of, node, directory)
        try:
            await self._client.create(volume)
        except AlreadyExists:
            return
        self._events.normal(
            claim, "ProvisioningSucceeded", f"Successfully provisioned volume {volume.metadata.name}"
        )

    async def _refuse(self, claim: PersistentVolumeClaim, of: StorageClass, refused: Refused) -> None:
        what = f'failed to provision volume with StorageClass "{of.metadata.name}"'
        self._events.warning(claim, "ProvisioningFailed", f"{what}: {refused.why}")
        if refused.reschedule:
            notes = {name: text for name, text in claim.metadata.annotations.items() if name != rules.SELECTED_NODE}
            await self._client.update(replace_meta(claim, annotations=notes))

    async def _expand(self, claim: PersistentVolumeClaim) -> None:
        """A directory has no size of its own: a bigger request is simply noted, volume first."""
        volume = self._volumes.get(claim.spec.volume_name)
        if volume is None or not local_path.is_local_path(volume):
            return
        wanted, has = quantity.parse(rules.requested(claim)), quantity.parse(claim.status.capacity.get("storage"))
        if wanted <= has:
            return
        size = {"storage": rules.requested(claim)}
        if quantity.parse(rules.capacity(volume)) < wanted:
            await self._client.update(replace(volume, spec=replace(volume.spec, capacity=size)))
        await self._client.update(replace(claim, status=replace(claim.status, capacity=size)), subresource="status")
        self._events.normal(claim, "VolumeResizeSuccessful", "Resize volume succeeded")

    # ---- volumes -------------------------------------------------------------------------------------

    async def _volume(self, volume: PersistentVolume) -> None:
        """Released ones go; when their node is gone too, nobody else would take the finalizer."""
        meta = volume.metadata
        if meta.deletion_timestamp is None:
            if volume.status.phase == "Released" and volume.spec.persistent_volume_reclaim_policy == "Delete":
                try:
                    await self._client.delete(PersistentVolume, meta.name, uid=meta.uid)
                except NotFound:
                    return
        elif local_path.FINALIZER in meta.finalizers and not self._has_node(volume):
            kept = tuple(each for each in meta.finalizers if each != local_path.FINALIZER)
            await self._client.update(replace_meta(volume, finalizers=kept))

    def _has_node(self, volume: PersistentVolume) -> bool:
        name = local_path.node_of(volume)
        return any(node.metadata.labels.get(local_path.HOSTNAME) == name for node in self._nodes.list())
