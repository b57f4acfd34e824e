"""A plugin in a process of its own would do the same: real sockets, real calls, without any container."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from minikube.api.core_v1 import Container, Pod
from minikube.api.meta import from_dict
from minikube.node.devices.base import STAYS_AWAY, Refused, Supply
from minikube.node.devices.devices import Devices, Fate
from minikube.node.devices.messages import resources
from minikube.node.devices.serving import answers, serve
from minikube.settings import Settings
from tests.device_plugin import VendorPlugin
from tests.fakes.cluster import HandClock

GPU = "vendor.example/gpu"


class Site:
    """A node's devices and one plugin; `restart` is that of the agent."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(data_dir=directory / "data", kubelet_dir=directory / "kubelet")
        self.clock, self.state = HandClock(), directory / "offer.json"
        self.fates: dict[str, Fate] = {}
        self.woken: list[str] = []
        self.pods: list[Pod] = []
        self.changes = 0
        self.offer(a="Healthy", b="Healthy")
        self.restart()

    def restart(self) -> None:
        self.devices = Devices(
            self.settings,
            self.clock,
            changed=self._changed,
            wake=self.woken.append,
            fate=lambda uid: self.fates.get(uid, Fate.STAYS),
        )

    def _changed(self) -> None:
        self.changes += 1

    def offer(self, *, more: dict[str, Any] | None = None, **devices: str) -> None:
        fresh = self.state.with_suffix(".new")
        fresh.write_text(json.dumps({"devices": devices, **(more or {})}))
        fresh.rename(self.state)

    @property
    def calls(self) -> list[str]:
        file = Path(f"{self.state}.calls")
        return file.read_text().splitlines() if file.exists() else []

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        running = asyncio.create_task(serve(self.devices, self.settings, lambda: self.pods))
        await until(lambda: answers(self.settings.device_plugins_dir / "kubelet.sock"))
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])
            assert running.cancelled(), running.exception()

    @contextlib.asynccontextmanager
    async def plugin(self) -> AsyncIterator[VendorPlugin]:
        """Registered, and what it offers is known."""
        found = VendorPlugin(self.settings.device_plugins_dir, GPU, self.state)
        async with found.serving():
            await found.register()
            await self.supplied(Supply(2, 2))
            yield found

    async def supplied(self, wanted: Supply) -> None:
        await until(lambda: self.devices.supply().get(GPU) == wanted)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 (another process' doing)
            await asyncio.sleep(0.01)


@pytest.fixture
def site() -> Iterator[Site]:
    directory = Path(tempfile.mkdtemp(prefix="mk-"))  # sockets want short names
    yield Site(directory)
    shutil.rmtree(directory)


def pod(uid: str, count: int = 1, inits: int = 0) -> Pod:
    limits = {"limits": {GPU: str(count)}}
    spec = {
        "containers": [{"name": "c", "resources": limits}],
        "initContainers": [{"name": f"i{index}", "resources": limits} for index in range(inits)],
    }
    return from_dict(Pod, {"metadata": {"name": f"p{uid}", "namespace": "default", "uid": uid}, "spec": spec})


def main(one: Pod) -> Container:
    return one.spec.containers[0]


async def test_a_pod_gets_devices_and_what_it_takes_to_use_them(site: Site) -> None:
    async with site.serving(), site.plugin():
        one = pod("1")
        await site.devices.admit(one)
        gear = await site.devices.gear(one, main(one))
    assert gear.env == (("VENDOR_DEVICES", "a"),)
    assert [(each.host_path, each.container_path, each.permissions) for each in gear.nodes] == [
        ("/dev/null", "/dev/a", "rw")
    ]
    assert gear.annotations == {"vendor.example/devices": "a"}
    assert [each.container_path for each in gear.mounts] == ["/vendor"]
    assert site.calls == ["allocate a"]


async def test_no_device_is_given_twice_and_what_is_released_is_given_again(site: Site) -> None:
    async with site.serving(), site.plugin():
        await asyncio.gather(*(site.devices.admit(pod(uid)) for uid in "12"))
        with pytest.raises(Refused) as told:
            await site.devices.admit(pod("3"))
        assert str(told.value) == f"requested number of devices unavailable for {GPU}. Requested: 1, Available: 0"
        await site.devices.release("1")
        await site.devices.admit(pod("3"))
        site.fates["2"] = Fate.OVER
        await site.devices.admit(pod("4"))
    assert sorted(site.calls) == ["allocate a", "allocate a", "allocate b", "allocate b"]


async def test_a_new_pod_waits_for_devices_of_one_that_was_deleted_by_force(site: Site) -> None:
    async with site.serving(), site.plugin():
        await site.devices.admit(pod("1", 2))
        site.fates["1"] = Fate.ENDS
        waiting = asyncio.create_task(site.devices.admit(pod("2", 2)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.2)
        await site.devices.release("1")
        await waiting
    assert site.calls == ["allocate a b"] * 2


async def test_what_pods_hold_outlives_the_agent(site: Site) -> None:
    async with site.serving(), site.plugin():
        await site.devices.admit(pod("1"))
    site.restart()
    one = pod("1")
    assert site.devices.supply() == {GPU: Supply(0, 0)}
    assert dict((await site.devices.gear(one, main(one))).env) == {"VENDOR_DEVICES": "a"}
    with pytest.raises(Refused, match="no healthy devices present; cannot allocate unhealthy devices"):
        await site.devices.admit(pod("2"))
    async with site.serving(), site.plugin():
        await site.devices.admit(pod("2"))
        await site.devices.keep_only(frozenset("2"))
        await site.devices.admit(pod("3"))
    assert site.calls == ["allocate a", "allocate b", "allocate a"]


async def test_init_containers_hand_their_devices_on(site: Site) -> None:
    async with site.serving(), site.plugin():
        await site.devices.admit(pod("1", 2, inits=2))
    assert site.calls == ["allocate a b"] * 3


async def test_a_plugin_may_fail_and_then_nothing_is_held(site: Site) -> None:
    async with site.serving(), site.plugin():
        site.offer(a="Healthy", b="Healthy", more={"fail": "no power"})
        with pytest.raises(Refused) as told:
            await site.devices.admit(pod("1", 2))
        assert str(told.value) == "rpc error: code = Internal desc = no power"
        site.offer(a="Healthy", b="Healthy")
        await site.devices.admit(pod("2", 2))


async def test_a_plugin_is_asked_what_it_prefers_and_before_containers_start(site: Site) -> None:
    site.offer(a="Healthy", b="Healthy", more={"before_start": True, "preferred": ["b"]})
    async with site.serving():
        async with site.plugin():
            one = pod("1")
            await site.devices.admit(one)
            await site.devices.gear(one, main(one))
            assert site.calls == ["allocate b", "before-start b"]
        await site.supplied(Supply(2, 0))
        with pytest.raises(
            Refused, match=r"device plugin PreStartContainer rpc failed with err: endpoint .* stopped"
        ):
            await site.devices.gear(one, main(one))


async def test_a_container_that_was_admitted_before_its_plugin_came_gets_devices_when_it_starts(site: Site) -> None:
    one = pod("1")
    await site.devices.admit(one)
    assert not (await site.devices.gear(one, main(one))).env
    async with site.serving(), site.plugin():
        assert dict((await site.devices.gear(one, main(one))).env) == {"VENDOR_DEVICES": "a"}


async def test_health_is_told_and_a_plugin_that_stays_away_is_forgotten(site: Site) -> None:
    one = pod("1")

    def told() -> str:
        [status] = site.devices.health(one)["c"]
        return status.resources[0].health

    async with site.serving():
        async with site.plugin() as plugin:
            await site.devices.admit(one)
            assert told() == "Healthy"
            site.offer(a="Unhealthy", b="Healthy")
            await site.supplied(Supply(2, 1))
            assert told() == "Unhealthy"
            assert "1" in site.woken
            site.offer(a="Healthy", b="Healthy")
            await site.supplied(Supply(2, 2))
            await plugin.register()  # again, without having gone
            await site.supplied(Supply(2, 2))
        await site.supplied(Supply(2, 0))
        assert told() == "Unknown"
        await site.clock.sleep(STAYS_AWAY + 1)
        await site.supplied(Supply(0, 0))
        async with site.plugin():
            assert told() == "Healthy"
    assert site.changes


async def test_what_is_no_plugin_cannot_register(site: Site) -> None:
    async with site.serving():
        bad = VendorPlugin(site.settings.device_plugins_dir, "gpu", site.state)
        async with bad.serving():
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await bad.register()
            assert told.value.code() is grpc.StatusCode.UNKNOWN
            assert told.value.details() == 'the ResourceName "gpu" is invalid'
    assert not site.devices.supply()


async def test_sockets_of_plugins_go_when_the_kubelet_comes_and_its_own_when_it_goes(site: Site) -> None:
    directory = site.settings.device_plugins_dir
    async with site.serving():
        plugin = VendorPlugin(directory, GPU, site.state)
        running = asyncio.create_task(plugin.run())
        await site.supplied(Supply(2, 2))
    assert not (directory / "kubelet.sock").exists()
    site.restart()
    async with site.serving():
        await site.supplied(Supply(2, 2))
    running.cancel()
    await asyncio.wait([running])


async def test_another_kubelet_keeps_its_sockets(site: Site) -> None:
    other = site.settings.device_plugins_dir / "kubelet.sock"
    other.parent.mkdir(parents=True)
    server = await asyncio.start_unix_server(lambda *_: None, str(other))
    async with server, site.serving():
        assert other.is_socket()
    assert other.is_socket()


async def test_others_are_told_which_pod_has_which_device(site: Site) -> None:
    async def call(method: str, request: Any, answer: Any) -> Any:
        async with grpc.aio.insecure_channel(f"unix:{site.settings.pod_resources_dir / 'kubelet.sock'}") as channel:
            return await channel.unary_unary(
                f"/v1.PodResourcesLister/{method}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )(request, timeout=20)

    site.pods = [pod("1"), pod("2")]
    async with site.serving(), site.plugin():
        await site.devices.admit(site.pods[0])
        listed = await call("List", resources.ListPodResourcesRequest(), resources.ListPodResourcesResponse)
        one, two = listed.pod_resources
        [device] = one.containers[0].devices
        assert (one.name, one.namespace, device.resource_name) == ("p1", "default", GPU)
        assert (list(device.device_ids), device.topology.nodes[0].ID) == (["a"], 0)
        assert [each.name for each in two.containers] == ["c"]
        assert not two.containers[0].devices
        asked = resources.GetPodResourcesRequest(pod_name="p1", pod_namespace="default")
        got = await call("Get", asked, resources.GetPodResourcesResponse)
        assert got.pod_resources == one
        every = await call(
            "GetAllocatableResources",
            resources.AllocatableResourcesRequest(),
            resources.AllocatableResourcesResponse,
        )
        assert [list(each.device_ids) for each in every.devices] == [["a"], ["b"]]
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await call("Get", resources.GetPodResourcesRequest(pod_name="x"), resources.GetPodResourcesResponse)
        assert told.value.details() == "pod x in namespace  not found"
