"""A node's own objects."""

from __future__ import annotations

from minikube.api.core_v1 import Node
from minikube.api.storage_v1 import CSINode
from minikube.node.registration import Registration
from minikube.settings import Settings
from tests.fakes.cluster import Cluster, HandClock


async def test_a_node_has_a_csi_node_that_goes_with_it() -> None:
    cluster = await Cluster.open()
    registration = Registration(cluster.client, Settings(), HandClock(), "n", ["192.0.2.1"])
    for _ in range(2):
        node = await registration.register()
        found = await cluster.client.get(CSINode, "n")
        assert [each.uid for each in found.metadata.owner_references] == [node.metadata.uid]
        assert found.spec.drivers == ()
        await cluster.client.delete(Node, "n")
