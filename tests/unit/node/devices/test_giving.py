"""Who gets which devices, in upstream's words where nobody does."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.api.core_v1 import Pod, ResourceHealth, ResourceStatus
from minikube.api.meta import from_dict
from minikube.node.devices.base import (
    BadPlugin,
    Device,
    Gear,
    Held,
    Pool,
    Refused,
    Supply,
    asked,
    asking,
    check_registration,
    chosen,
    combined,
    health,
    keeps,
    pool,
    reported,
    reusable,
    supply,
)
from minikube.node.runtime.base import Device as Node
from minikube.node.runtime.base import Mount

GPU = "vendor.example/gpu"
THREE = [Device("a"), Device("b"), Device("c")]


def pod(*inits: dict[str, Any], mains: int = 1) -> Pod:
    limits = {"limits": {GPU: "1", "cpu": "1"}}
    containers = [{"name": f"c{index}", "resources": limits} for index in range(mains)]
    tree = {
        "metadata": {"name": "p", "namespace": "default", "uid": "u"},
        "spec": {"containers": containers, "initContainers": [{"resources": limits, **each} for each in inits]},
    }
    return from_dict(Pod, tree)


def test_containers_ask_by_their_limits_of_extended_resources() -> None:
    [only] = pod().spec.containers
    assert asked(only) == {GPU: 1}
    assert [(each.name, resource) for each, resource, _ in asking(pod({"name": "i"}), [GPU])] == [
        ("i", GPU),
        ("c0", GPU),
    ]
    assert not list(asking(pod(), ["vendor.example/other"]))


@pytest.mark.parametrize(
    ("version", "resource", "message"),
    [
        (
            "v1alpha",
            GPU,
            'requested API version "v1alpha" is not supported by kubelet. Supported version is ["v1beta1"]',
        ),
        ("v1beta1", "gpu", 'the ResourceName "gpu" is invalid'),
        ("v1beta1", "kubernetes.io/gpu", 'the ResourceName "kubernetes.io/gpu" is invalid'),
    ],
)
def test_not_everything_can_register(version: str, resource: str, message: str) -> None:
    with pytest.raises(BadPlugin) as told:
        check_registration(version, resource)
    assert str(told.value) == message


def test_devices_are_chosen_among_healthy_ones_that_nobody_has() -> None:
    known = [*THREE, Device("d", healthy=False)]
    found = pool(GPU, 2, known, (), ["b"])
    assert found == Pool((), ("a", "c"), 2)
    assert chosen(found, ()) == ("a", "c")
    assert chosen(pool(GPU, 1, known, (), ()), ["c", "b"]) == ("b",)


def test_a_plugin_may_prefer_what_it_likes_but_only_of_what_is_free() -> None:
    found = pool(GPU, 1, THREE, (), ["c"])
    assert chosen(found, ["c", "b"]) == ("b",)
    assert chosen(found, ["nonsense"]) == ("a",)


def test_devices_of_init_containers_are_used_again_first() -> None:
    found = pool(GPU, 2, THREE, {"c"}, ["c"])
    assert found == Pool(("c",), ("a", "b"), 1)
    assert chosen(found, ()) == ("c", "a")
    assert pool(GPU, 1, THREE, {"c", "b"}, ["b", "c"]) == Pool(("b",), ("a",), 0)


@pytest.mark.parametrize(
    ("known", "in_use", "message"),
    [
        (None, (), f"cannot allocate unregistered device {GPU}"),
        ((), (), f"no healthy devices present; cannot allocate unhealthy devices {GPU}"),
        (
            [Device("a", healthy=False)],
            (),
            f"no healthy devices present; cannot allocate unhealthy devices {GPU}",
        ),
        (THREE, ["a", "b"], f"requested number of devices unavailable for {GPU}. Requested: 2, Available: 1"),
    ],
)
def test_what_cannot_be_given_is_refused(known: Any, in_use: Any, message: str) -> None:
    with pytest.raises(Refused) as told:
        pool(GPU, 2, known, (), in_use)
    assert str(told.value) == message


def test_who_has_devices_keeps_them_while_they_are_healthy() -> None:
    held = Held("u", "c0", GPU, ("a",))
    keeps(held, 1, THREE)
    with pytest.raises(Refused, match="previously allocated devices are no longer healthy"):
        keeps(held, 1, [Device("a", healthy=False), Device("b")])
    with pytest.raises(Refused, match="no healthy devices present"):
        keeps(held, 1, [Device("a", healthy=False)])
    with pytest.raises(Refused) as told:
        keeps(held, 2, THREE)
    assert str(told.value) == f'pod "u" container "c0" changed request for resource "{GPU}" from 1 to 2'


def test_only_init_containers_that_end_leave_devices_to_others() -> None:
    one = pod({"name": "i"}, {"name": "s", "restartPolicy": "Always"}, mains=2)
    held = [Held("u", "i", GPU, ("a",)), Held("u", "s", GPU, ("b",))]
    assert reusable(one, "i", held) == {}
    assert reusable(one, "c0", held) == {GPU: {"a"}}
    held.append(Held("u", "c0", GPU, ("a",)))
    assert reusable(one, "c1", held) == {GPU: frozenset()}


def test_the_first_resource_that_names_a_path_or_variable_wins() -> None:
    one = Gear((("A", "1"), ("B", "1")), (Mount("/h1", "/m"),), (Node("/dev/1", "/dev/x"),), {"k": "1"}, ("v/c=1",))
    two = Gear((("A", "2"), ("C", "2")), (Mount("/h2", "/m"),), (Node("/dev/2", "/dev/x"),), {"k": "2"}, ("v/c=1",))
    found = combined([one, two])
    assert dict(found.env) == {"A": "1", "B": "1", "C": "2"}
    assert [each.host_path for each in found.mounts] == ["/h1"]
    assert [each.host_path for each in found.nodes] == ["/dev/1"]
    assert found.annotations == {"k": "1"}
    assert found.cdi == ("v/c=1",)


def test_what_a_plugin_offered_first_goes_out_of_use_and_then_away() -> None:
    known = [Device("a"), Device("b", healthy=False)]
    assert supply(known, None) == Supply(2, 1)
    assert supply(known, 10) == Supply(2, 0)
    assert supply(known, 301) == Supply(0, 0)


def test_the_status_of_a_container_says_how_its_devices_are() -> None:
    one = pod({"name": "i"})
    held = [
        Held("u", "i", GPU, ("a",)),
        Held("u", "c0", GPU, ("a", "b")),
        Held("u", "c0", "vendor.example/x", ("z",)),
    ]
    known = {GPU: {"a": Device("a"), "b": Device("b", healthy=False)}}
    assert health(one, held, known) == {
        "c0": (
            ResourceStatus(
                name=GPU,
                resources=(
                    ResourceHealth(resource_id="a", health="Healthy"),
                    ResourceHealth(resource_id="b", health="Unhealthy"),
                ),
            ),
            ResourceStatus(name="vendor.example/x", resources=(ResourceHealth(resource_id="z", health="Unknown"),)),
        )
    }


def test_those_who_ask_hear_of_sidecars_but_not_of_other_init_containers() -> None:
    assert reported(pod({"name": "i"}, {"name": "s", "restartPolicy": "Always"})) == ["s", "c0"]
