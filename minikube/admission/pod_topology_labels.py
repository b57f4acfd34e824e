"""PodTopologyLabels: a pod that is bound to a node carries the node's zone and region as labels.

Rules: kubernetes plugin/pkg/admission/podtopologylabels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.admission.concerns import is_changed, is_new
from minikube.api.core_v1 import Node
from minikube.client.base import Lister

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels:
    name: ClassVar[str] = "PodTopologyLabels"

    def __init__(self, nodes: Lister[Node]) -> None:
        self._nodes = nodes

    async def admit(self, request: Attributes) -> None:
        bound = is_changed(request, "", "pods", "binding")
        if not (bound or is_new(request, "", "pods")) or request.object is None:
            return
        name = (request.object.get("spec") or {}).get("nodeName")
        node = self._nodes.get(name) if name else None
        if node is not None:
            metadata = request.object["metadata"]
            metadata["labels"] = {**(metadata.get("labels") or {}), **topology_labels(node.metadata.labels)}


def topology_labels(labels: Mapping[str, str]) -> dict[str, Any]:
    return {name: labels[name] for name in LABELS if name in labels}
