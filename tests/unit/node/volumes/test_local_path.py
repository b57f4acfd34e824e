"""The agent's side of local-path volumes: it says where they are, and removes what is its own and deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from minikube.api import local_path
from minikube.api.core_v1 import (
    LocalVolumeSource,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    VolumeResourceRequirements,
)
from minikube.api.meta import ObjectMeta
from minikube.api.storage_v1 import StorageClass
from minikube.controllers.local_path import volume_for
from minikube.node.volumes.local_path import LocalPathVolumes, directory_of
from minikube.settings import Settings
from tests.fakes.cluster import Cluster

HERE = Node(metadata=ObjectMeta(name="n1", labels={local_path.HOSTNAME: "n1"}))
CLAIM = PersistentVolumeClaim(
    metadata=ObjectMeta(name="c", namespace="default", uid="u"),
    spec=PersistentVolumeClaimSpec(
        access_modes=("ReadWriteOnce",), resources=VolumeResourceRequirements(requests={"storage": "1Gi"})
    ),
)


def volume(policy: str, directory: object) -> PersistentVolume:
    return volume_for(CLAIM, StorageClass(reclaim_policy=policy), HERE, str(directory))


def test_only_a_directory_named_after_the_volume_is_its_own() -> None:
    made = volume("Delete", "/data/storage")
    assert directory_of(made) == Path("/data/storage/pvc-u_default_c")
    foreign = replace(made, spec=replace(made.spec, local=LocalVolumeSource(path="/etc")))
    with pytest.raises(OSError, match="/etc is not the directory of pvc-u"):
        directory_of(foreign)


async def until(cluster: Cluster, kind: type[Any], holds: Callable[[], bool]) -> None:
    """Wait for a change of this kind after which it holds."""
    there = asyncio.Event()
    cluster.informers.of(kind).add_handler(lambda old, new: there.set() if holds() else None)
    await there.wait()


@pytest.mark.parametrize(("policy", "left"), [("Delete", False), ("Retain", True)])
async def test_a_deleted_volume_takes_its_directory_along(tmp_path: Path, policy: str, left: bool) -> None:
    cluster = await Cluster.open()
    await cluster.client.create(HERE)
    settings = Settings(data_dir=tmp_path)
    running = asyncio.create_task(LocalPathVolumes(cluster.client, cluster.informers, settings, "n1").run())
    nodes, volumes = (cluster.informers.of(kind).lister for kind in (Node, PersistentVolume))
    where = {local_path.DIRECTORY: str(tmp_path / "agent/storage")}
    await until(cluster, Node, lambda: [one.metadata.annotations for one in nodes.list()] == [where])

    made = volume(policy, settings.storage_dir)
    await asyncio.to_thread(directory_of(made).mkdir, parents=True)
    await cluster.client.create(made)
    await cluster.client.delete(PersistentVolume, made.metadata.name)
    await until(cluster, PersistentVolume, lambda: not volumes.list())
    assert directory_of(made).exists() == left
    running.cancel()
