"""ControllerRevisions: the history of a DaemonSet's or StatefulSet's template. Rules: pkg/controller/history."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from minikube.api.apps_v1 import ControllerRevision
from minikube.api.core_v1 import PodTemplateSpec
from minikube.api.meta import Object, ObjectMeta, to_dict
from minikube.api.owners import controller_reference
from minikube.client.base import Client, Lister
from minikube.controllers.templates import template_hash
from minikube.errors import NotFound

REVISION = "controller-revision-hash"
"""Label of a pod: of a DaemonSet's the hash of its template, of a StatefulSet's the name of its revision."""
HASH = "controller.kubernetes.io/hash"
"""Label of a StatefulSet's revision with the hash of its template; a DaemonSet's has REVISION."""


def snapshot(template: PodTemplateSpec) -> Mapping[str, Any]:
    """What `kubectl rollout undo` sends as a strategic merge patch."""
    return {"spec": {"template": {**to_dict(template), "$patch": "replace"}}}


def hash_of(revision: ControllerRevision) -> str:
    labels = revision.metadata.labels
    return labels.get(HASH, labels.get(REVISION, ""))


def surplus(
    history: Sequence[ControllerRevision], live: Collection[str], limit: int
) -> Sequence[ControllerRevision]:
    """The oldest beyond `limit` (negative: none) of the revisions that no pod has (`live`: hashes or names)."""
    if limit < 0:
        return []
    idle = [one for one in history if not {hash_of(one), one.metadata.name} & set(live)]
    idle.sort(key=lambda one: one.revision or 0)
    return idle[: max(0, len(idle) - limit)]


class Revisions:
    """`label` is what the hash is called on them, HASH or REVISION."""

    def __init__(self, client: Client, lister: Lister[ControllerRevision], label: str) -> None:
        self._client = client
        self._lister = lister
        self._label = label

    def history(self, owner: Object) -> list[ControllerRevision]:
        """Oldest first."""
        found = self._lister.by_index("owner", owner.metadata.uid)
        return sorted(found, key=lambda one: one.revision or 0)

    async def current(self, owner: Object, template: PodTemplateSpec) -> ControllerRevision:
        """The revision of this template, made or moved to the end of the history."""
        history = self.history(owner)
        highest = max((one.revision or 0 for one in history), default=0)
        hashed = template_hash(template, 0)
        wanted = snapshot(template)
        same = next((one for one in reversed(history) if hash_of(one) == hashed or one.data == wanted), None)
        meta = owner.metadata
        if same is None:
            made = ControllerRevision(
                metadata=ObjectMeta(
                    name=f"{meta.name}-{hashed}",
                    namespace=meta.namespace,
                    labels={**template.metadata.labels, self._label: hashed},
                    annotations={k: v for k, v in meta.annotations.items() if "last-applied" not in k},
                    owner_references=(controller_reference(owner),),
                ),
                data=wanted,
                revision=highest + 1,
            )
            return await self._client.create(made)
        if (same.revision or 0) < highest:
            return await self._client.patch(
                ControllerRevision, same.metadata.name, meta.namespace, patch={"revision": highest + 1}
            )
        return same

    def twins(self, owner: Object, revision: ControllerRevision) -> frozenset[str]:
        """Hashes of the revisions with the same template as this one, its own among them."""
        same = (one for one in self._lister.by_index("owner", owner.metadata.uid) if one.data == revision.data)
        return frozenset({hash_of(revision), *map(hash_of, same)})

    async def prune(self, owner: Object, live: Collection[str], limit: int) -> None:
        for one in surplus(self.history(owner), live, limit):
            try:
                await self._client.delete(ControllerRevision, one.metadata.name, one.metadata.namespace)
            except NotFound:
                continue
