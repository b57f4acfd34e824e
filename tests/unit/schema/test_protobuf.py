"""Kubernetes protobuf as Go writes it: embedded structs are messages on the wire and spread out in JSON."""

from __future__ import annotations

import pytest

from minikube.schema import protobuf
from minikube.schema.structure import raw_definition, raw_definitions


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return bytes([number << 3, value])
    data = value.encode() if isinstance(value, str) else value
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def pod(spec: bytes) -> bytes:
    unknown = (
        field(1, field(1, "v1") + field(2, "Pod"))
        + b"\x12"
        + _long(field(1, field(1, "p")) + b"\x12" + _long(spec))
    )
    return protobuf.MAGIC + unknown


def _long(data: bytes) -> bytes:
    size = len(data)
    return (bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])) + data


def spec_of(spec: bytes) -> dict[str, object]:
    found: dict[str, object] = protobuf.decode(pod(spec), "io.k8s.api.core.v1.Pod")["spec"]
    return found


def test_a_volume_keeps_its_source() -> None:
    host_path = field(1, "root") + field(2, field(1, field(1, "/")))
    claim = field(1, "data") + field(2, field(10, field(1, "db")))
    assert spec_of(field(1, host_path) + field(1, claim))["volumes"] == [
        {"name": "root", "hostPath": {"path": "/"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "db"}},
    ]


def test_a_probe_keeps_its_handler_and_a_reference_its_name() -> None:
    probe = field(1, field(1, field(1, "true"))) + field(3, 1)
    source = field(3, field(1, field(1, "settings")) + field(2, "key"))
    container = field(1, "c") + field(7, field(1, "V") + field(3, source)) + field(10, probe)
    [found] = spec_of(field(2, container))["containers"]  # type: ignore[misc]
    assert found["livenessProbe"] == {"exec": {"command": ["true"]}, "timeoutSeconds": 1}
    assert found["env"] == [{"name": "V", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "key"}}}]


@pytest.mark.parametrize("name", sorted(protobuf.messages()))
def test_every_field_of_a_message_is_one_of_its_json(name: str) -> None:
    """Or is spread out in it; what is in neither is not in the stable API."""
    definition = name.replace("k8s.io.", "io.k8s.", 1).replace("_", "-")
    found = protobuf.message(name)
    if definition not in raw_definitions() or found is None:
        return
    properties = raw_definition(definition).get("properties", {})
    schema = name.endswith(".JSONSchemaProps")
    names = {spoken for spoken, _, _ in found.fields.values()} - found.embedded
    spelled = {protobuf.json_name(each) for each in names} if schema else names
    left = spelled - set(properties) if properties and name not in protobuf.SPECIAL else set()
    assert left <= {"nodeAllocatableResourceMappings", "resources"}
