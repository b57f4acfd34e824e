"""What a pod's files are made from is followed while the pod is there; tokens are renewed before they end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from minikube.api import time
from minikube.api.core_v1 import ConfigMap, NodeStatus, Pod, Secret
from minikube.api.meta import Key, ObjectMeta, from_dict
from minikube.errors import ServiceUnavailable
from minikube.node.container.inputs import Inputs
from minikube.node.host.mounts import mounts_below
from minikube.node.volumes.files import TokenKind
from minikube.node.volumes.problems import MountProblem, Unmet
from minikube.node.volumes.references import References
from minikube.node.volumes.tokens import Tokens
from minikube.settings import Settings
from tests.fakes.cluster import Cluster, HandClock

HOUR = TokenKind("", 3600)


def config_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data=data)


class Heard:
    """Remembers who was called; `one()` waits for the next."""

    def __init__(self) -> None:
        self.names: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, name: str) -> None:
        self.names.put_nowait(name)

    async def one(self) -> str:
        return await self.names.get()


async def test_an_object_is_followed_for_whom_it_may_concern_and_no_longer() -> None:
    cluster, heard = await Cluster.open(), Heard()
    followed = References(cluster.client, ConfigMap, heard)
    running = asyncio.create_task(followed.run())
    key = Key("default", "c")
    followed.hold("a", frozenset({key}))
    followed.hold("b", frozenset({key}))
    assert await followed.get(key) is None
    await cluster.client.create(config_map("c", k="1"))
    assert {await heard.one(), await heard.one()} == {"a", "b"}
    found = await followed.get(key)
    assert found is not None
    assert found.data == {"k": "1"}

    followed.hold("b", frozenset())
    await cluster.client.patch(ConfigMap, "c", "default", patch={"data": {"k": "2"}})
    assert await heard.one() == "a"
    assert heard.names.empty()
    watches = [task for task in asyncio.all_tasks() if task.get_name() == "ConfigMap default/c"]
    assert len(watches) == 1
    followed.hold("a", frozenset())
    await asyncio.wait(watches)
    running.cancel()


class Issuer:
    """Answers token requests; each token lives as long as asked."""

    def __init__(self, cluster: Cluster, clock: HandClock) -> None:
        self.issued, self._clock, self.gone = 0, clock, False
        cluster.registry.subresources["serviceaccounts", "token"] = self.issue

    async def issue(self, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.gone:
            raise ServiceUnavailable("the server cannot be reached")
        self.issued += 1
        until = self._clock.now() + timedelta(seconds=body["spec"]["expirationSeconds"])
        return {**body, "status": {"token": f"token-{self.issued}", "expirationTimestamp": time.text(until)}}


async def test_without_a_server_the_last_token_is_used_also_by_a_new_process(tmp_path: Path) -> None:
    cluster = await Cluster.open()
    issuer = Issuer(cluster, cluster.clock)
    pod = Pod(metadata=ObjectMeta(name="p", namespace="default", uid="u"))

    def started() -> Tokens:
        return Tokens(cluster.client, cluster.clock, tmp_path)

    assert await started().get(pod, HOUR) == b"token-1"
    assert (tmp_path / "u/tokens.json").stat().st_mode & 0o777 == 0o600
    issuer.gone = True
    tokens = started()
    assert await tokens.get(pod, HOUR) == b"token-1"
    with pytest.raises(Unmet, match="the server cannot be reached"):
        await tokens.get(pod, TokenKind("vault", 600))
    issuer.gone = False
    await cluster.clock.sleep(tokens.due_in("u") or 0)
    assert await tokens.get(pod, HOUR) == b"token-2"
    tokens.forget("u")
    issuer.gone = True
    with pytest.raises(Unmet):
        await started().get(pod, HOUR)


async def test_a_token_is_kept_until_most_of_its_life_is_over(tmp_path: Path) -> None:
    cluster = await Cluster.open()
    issuer, tokens = Issuer(cluster, cluster.clock), Tokens(cluster.client, cluster.clock, tmp_path)
    pod = Pod(metadata=ObjectMeta(name="p", namespace="default", uid="u"))
    assert tokens.due_in("u") is None
    assert await tokens.get(pod, HOUR) == b"token-1"
    assert tokens.due_in("u") == 2880
    await cluster.clock.sleep(2879)
    assert await tokens.get(pod, HOUR) == b"token-1"
    await cluster.clock.sleep(2)
    assert await tokens.get(pod, HOUR) == b"token-2"
    assert await tokens.get(pod, TokenKind("vault", 600)) == b"token-3"
    tokens.forget("u")
    assert await tokens.get(pod, HOUR) == b"token-4"
    other = Pod(metadata=ObjectMeta(name="q", namespace="default", uid="v"))
    assert await tokens.get(other, TokenKind("", 10 * 86400)) == b"token-5"
    assert tokens.due_in("v") == 86400
    assert issuer.issued == 5


async def opened(tmp_path: Path) -> tuple[Cluster, Inputs, Heard]:
    cluster, woken = await Cluster.open(), Heard()
    node = await cluster.node("n1")
    status = NodeStatus(allocatable={"cpu": "4"})
    await cluster.client.update(replace(node, status=status), subresource="status")
    inputs = Inputs(
        cluster.client,
        cluster.informers,
        Settings(data_dir=tmp_path, run_dir=tmp_path),
        "n1",
        ["10.0.0.1"],
        recorder=cluster.told,
        clock=cluster.clock,
        wake=woken,
    )
    return cluster, inputs, woken


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
async def test_a_pod_that_lacks_something_is_woken_when_it_comes(tmp_path: Path) -> None:
    cluster, inputs, woken = await opened(tmp_path)
    running = asyncio.create_task(inputs.run())
    volumes = [{"name": "v", "configMap": {"name": "c"}}, {"name": "idle", "secret": {"secretName": "nobody"}}]
    container = {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    container["envFrom"] = [{"secretRef": {"name": "s"}}]
    meta = {"name": "p", "namespace": "default", "uid": "u"}
    pod = from_dict(Pod, {"metadata": meta, "spec": {"containers": [container], "volumes": volumes}})
    with pytest.raises(MountProblem) as caught:
        await inputs.prepare(pod)
    assert str(caught.value) == 'MountVolume.SetUp failed for volume "v" : configmap "c" not found'
    await cluster.client.create(config_map("c", k="1"))
    assert await woken.one() == "u"
    await inputs.prepare(pod)
    assert (tmp_path / "agent/pods/u/volumes/v/k").read_text() == "1"
    await cluster.client.create(Secret(metadata=ObjectMeta(name="s", namespace="default")))
    assert await woken.one() == "u"
    await inputs.remove("u")
    assert not (tmp_path / "agent/pods/u").exists()
    running.cancel()
    await asyncio.wait([running])
    assert mounts_below(tmp_path) == []


async def test_what_nobody_knows_is_removed(tmp_path: Path) -> None:
    _, inputs, _ = await opened(tmp_path)
    for uid in ("known", "orphan"):
        (tmp_path / "agent/pods" / uid / "volumes").mkdir(parents=True)
    await inputs.keep_only(frozenset({"known"}))
    assert [each.name for each in (tmp_path / "agent/pods").iterdir()] == ["known"]
