"""The bytes that plugins written elsewhere send: by the field numbers of upstream's api.proto."""

from __future__ import annotations

from minikube.node.devices import messages
from minikube.node.devices.base import Device, Gear, Options
from minikube.node.runtime.base import Device as Node
from minikube.node.runtime.base import Mount
from minikube.node.runtime.wire import encode, entry

api, resources = messages.plugins, messages.resources


def test_a_registration_is_read() -> None:
    found = api.RegisterRequest.FromString(
        encode((1, "v1beta1"), (2, "x.sock"), (3, "vendor.example/x"), (4, encode((1, 1), (2, 1))))
    )
    assert (found.version, found.endpoint, found.resource_name) == ("v1beta1", "x.sock", "vendor.example/x")
    assert messages.options(found.options) == Options(before_start=True, preferences=True)


def test_devices_are_read_with_what_they_are_near_to() -> None:
    near = encode((1, encode((1, 1))))
    listed = encode((1, encode((1, "a"), (2, "Healthy"), (3, near))), (1, encode((1, "b"), (2, "Unhealthy"))))
    found = messages.devices(api.ListAndWatchResponse.FromString(listed))
    assert found == [Device("a", True, (1,)), Device("b", False)]


def test_what_a_container_gets_is_read() -> None:
    answer = encode(
        entry(1, "A", "1"),
        (2, encode((1, "/in"), (2, "/host"), (3, 1))),
        (3, encode((1, "/dev/in"), (2, "/dev/host"), (3, "rw"))),
        entry(4, "k", "v"),
        (5, encode((1, "vendor.example/gpu=0"))),
    )
    found = messages.gear(api.ContainerAllocateResponse.FromString(answer))
    assert found == Gear(
        (("A", "1"),),
        (Mount("/host", "/in", read_only=True),),
        (Node("/dev/host", "/dev/in", "rw"),),
        {"k": "v"},
        ("vendor.example/gpu=0",),
    )


def test_questions_are_written_as_plugins_read_them() -> None:
    asked = api.AllocateRequest(container_requests=[api.ContainerAllocateRequest(devices_ids=["a", "b"])])
    assert asked.SerializeToString() == encode((1, encode((1, "a"), (1, "b"))))
    liked = api.ContainerPreferredAllocationRequest(
        available_deviceIDs=["a", "b"], must_include_deviceIDs=["a"], allocation_size=2
    )
    assert liked.SerializeToString() == encode((1, "a"), (1, "b"), (2, "a"), (3, 2))
    assert api.PreStartContainerRequest(devices_ids=["a"]).SerializeToString() == encode((1, "a"))


def test_who_has_what_is_told_an_entry_a_device() -> None:
    found = messages.container_devices("vendor.example/x", [Device("a", numa=(1,)), Device("b")])
    assert [each.SerializeToString() for each in found] == [
        encode((1, "vendor.example/x"), (2, "a"), (3, encode((1, encode((1, 1)))))),
        encode((1, "vendor.example/x"), (2, "b")),
    ]
    pod = resources.PodResources(
        name="p", namespace="n", containers=[resources.ContainerResources(name="c", devices=found)]
    )
    devices = [(2, each.SerializeToString()) for each in found]
    assert pod.SerializeToString() == encode((1, "p"), (2, "n"), (3, encode((1, "c"), *devices)))
