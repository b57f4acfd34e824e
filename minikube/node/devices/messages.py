"""The messages of the device plugin API (v1beta1) and of the PodResources API (v1), and what they say in our words.

Fields and their numbers: k8s.io/kubelet/pkg/apis/{deviceplugin/v1beta1,podresources/v1}/api.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from minikube.node.devices.base import Device, Gear, Options
from minikube.node.runtime.base import Device as Node
from minikube.node.runtime.base import Mount

_PLUGINS = {
    "Empty": "",
    "DevicePluginOptions": "1 bool pre_start_required, 2 bool get_preferred_allocation_available",
    "RegisterRequest": "1 string version, 2 string endpoint, 3 string resource_name, 4 DevicePluginOptions options",
    "ListAndWatchResponse": "1 Device* devices",
    "TopologyInfo": "1 NUMANode* nodes",
    "NUMANode": "1 int64 ID",
    "Device": "1 string ID, 2 string health, 3 TopologyInfo topology",
    "PreStartContainerRequest": "1 string* devices_ids",
    "PreStartContainerResponse": "",
    "PreferredAllocationRequest": "1 ContainerPreferredAllocationRequest* container_requests",
    "ContainerPreferredAllocationRequest": (
        "1 string* available_deviceIDs, 2 string* must_include_deviceIDs, 3 int32 allocation_size"
    ),
    "PreferredAllocationResponse": "1 ContainerPreferredAllocationResponse* container_responses",
    "ContainerPreferredAllocationResponse": "1 string* deviceIDs",
    "AllocateRequest": "1 ContainerAllocateRequest* container_requests",
    "ContainerAllocateRequest": "1 string* devices_ids",
    "CDIDevice": "1 string name",
    "AllocateResponse": "1 ContainerAllocateResponse* container_responses",
    "ContainerAllocateResponse": (
        "1 map envs, 2 Mount* mounts, 3 DeviceSpec* devices, 4 map annotations, 5 CDIDevice* cdi_devices"
    ),
    "Mount": "1 string container_path, 2 string host_path, 3 bool read_only",
    "DeviceSpec": "1 string container_path, 2 string host_path, 3 string permissions",
}
_RESOURCES = {
    "AllocatableResourcesRequest": "",
    "AllocatableResourcesResponse": "1 ContainerDevices* devices",
    "ListPodResourcesRequest": "",
    "ListPodResourcesResponse": "1 PodResources* pod_resources",
    "PodResources": "1 string name, 2 string namespace, 3 ContainerResources* containers",
    "ContainerResources": "1 string name, 2 ContainerDevices* devices",
    "ContainerDevices": "1 string resource_name, 2 string* device_ids, 3 TopologyInfo topology",
    "TopologyInfo": "1 NUMANode* nodes",
    "NUMANode": "1 int64 ID",
    "GetPodResourcesRequest": "1 string pod_name, 2 string pod_namespace",
    "GetPodResourcesResponse": "1 PodResources pod_resources",
}
"""Without CPUs, memory and claims: nothing of that is anybody's alone on this node."""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"string": _Field.TYPE_STRING, "bool": _Field.TYPE_BOOL, "int32": _Field.TYPE_INT32} | {
    "int64": _Field.TYPE_INT64
}


class _Package:
    """The classes of its messages, as attributes."""

    def __init__(self, name: str, messages: Mapping[str, str]) -> None:
        file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=name, syntax="proto3")
        for title, fields in messages.items():
            message = file.message_type.add(name=title)
            for field in filter(None, fields.split(", ")):
                _add(name, message, *field.split())
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        for title in messages:
            found = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{name}.{title}"))
            setattr(self, title, found)


def _add(package: str, message: Any, number: str, kind: str, name: str) -> None:
    repeated = kind.endswith("*") or kind == "map"
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=int(number), label=label)
    kind = kind.removesuffix("*")
    if kind == "map":  # of strings
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        for place, part in ((1, "key"), (2, "value")):
            entry.field.add(name=part, number=place, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
        kind = f"{message.name}.{entry.name}"
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{kind}"


plugins: Any = _Package("v1beta1", _PLUGINS)
resources: Any = _Package("v1", _RESOURCES)


def devices(listed: Any) -> Sequence[Device]:
    """Of a ListAndWatchResponse."""
    return [
        Device(each.ID, each.health == "Healthy", tuple(node.ID for node in each.topology.nodes))
        for each in listed.devices
    ]


def options(found: Any) -> Options:
    return Options(found.pre_start_required, found.get_preferred_allocation_available)


def gear(answer: Any) -> Gear:
    """Of a ContainerAllocateResponse."""
    return Gear(
        env=tuple(answer.envs.items()),
        mounts=tuple(Mount(each.host_path, each.container_path, each.read_only) for each in answer.mounts),
        nodes=tuple(Node(each.host_path, each.container_path, each.permissions) for each in answer.devices),
        annotations=dict(answer.annotations),
        cdi=tuple(each.name for each in answer.cdi_devices),
    )


def container_devices(resource: str, known: Sequence[Device]) -> Sequence[Any]:
    """One entry a device, as upstream has it."""
    return [
        resources.ContainerDevices(
            resource_name=resource,
            device_ids=[each.id],
            topology=resources.TopologyInfo(nodes=[resources.NUMANode(ID=node) for node in each.numa])
            if each.numa
            else None,
        )
        for each in known
    ]
