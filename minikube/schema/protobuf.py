"""Reads the Kubernetes protobuf encoding of built-in kinds into the JSON tree that the rest works with.

protobuf.json has the field numbers of every message. On the wire a Go value that is not a pointer is always
there: its zero is what JSON would have left out, unless JSON never leaves it out. Source of the envelope:
k8s.io/apimachinery/pkg/runtime/serializer/protobuf. Which fields are pointers: types.go of every group.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from minikube.schema.structure import raw_definition, raw_definitions

MAGIC = b"k8s\x00"
META = "k8s.io.apimachinery.pkg.apis.meta.v1."
SCHEMA = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."

POINTERS = frozenset(
    {
        "activeDeadlineSeconds", "adminAccess", "allocateLoadBalancerNodePorts", "allowPrivilegeEscalation",
        "allowVolumeExpansion", "attachRequired", "automountServiceAccountToken", "averageUtilization",
        "backoffLimit", "backoffLimitPerIndex", "blockOwnerDeletion", "bool", "borrowingLimitPercent",
        "collisionCount", "completions", "controller", "currentCPUUtilizationPercentage", "defaultMode",
        "deletionGracePeriodSeconds", "enableServiceLinks", "endPort", "errorCode", "expirationSeconds",
        "failedJobsHistoryLimit", "fsGroup", "gracePeriodSeconds", "hostProcess", "hostUsers", "immutable", "int",
        "leaseDurationSeconds", "leaseTransitions", "lendablePercent", "manualSelector", "maxExpirationSeconds",
        "maxFailedIndexes", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength",
        "minProperties", "minReplicas", "minimum", "mode", "nodeAllocatableUpdatePeriodSeconds",
        "nominalConcurrencyShares", "optional", "orphanDependents", "parallelism", "partition", "podInfoOnMount",
        "priority", "privileged", "progressDeadlineSeconds", "readOnlyRootFilesystem", "ready",
        "remainingItemCount", "replicas", "requiresRepublish", "revisionHistoryLimit", "runAsGroup",
        "runAsNonRoot", "runAsUser", "seLinuxMount", "serving", "setHostnameAsFQDN", "shareProcessNamespace",
        "stabilizationWindowSeconds", "started", "startingDeadlineSeconds", "storageCapacity",
        "successfulJobsHistoryLimit", "suspend", "terminating", "terminatingReplicas",
        "terminationGracePeriodSeconds", "tolerationSeconds", "ttlSecondsAfterFinished",
    }
)  # fmt: skip
"""Numbers and booleans that Go keeps behind a pointer: their zero was said."""
PLAIN = frozenset(
    {
        "AWSElasticBlockStoreVolumeSource.partition", "CustomResourceColumnDefinition.priority",
        "DeploymentStatus.replicas", "GCEPersistentDiskVolumeSource.partition", "ServicePort.targetPort",
    }
)  # fmt: skip
"""The others of such a name; and the only IntOrString that is not behind one."""
SAID = frozenset(
    {
        "CSIVolumeSource.readOnly", "ControllerRevision.revision", "IngressSpec.ingressClassName",
        "LeaseSpec.holderIdentity", "PersistentVolumeClaimSpec.storageClassName",
        "PersistentVolumeClaimSpec.volumeAttributesClassName", "PodDisruptionBudgetStatus.currentHealthy",
        "PodDisruptionBudgetStatus.desiredHealthy", "PodDisruptionBudgetStatus.disruptionsAllowed",
        "PodDisruptionBudgetStatus.expectedPods", "PriorityClass.value", "VolumeNodeResources.count",
    }
)  # fmt: skip
"""Single ones: behind a pointer though others of that name are not, texts that say something when they are empty,
and numbers that JSON has in any case though no schema requires them."""
SCALARS = frozenset({"int32", "int64", "bool", "double"})


class ProtobufError(ValueError):
    """Not what the format says, or a kind without a known message."""


@lru_cache(maxsize=1)
def messages() -> Mapping[str, Mapping[str, tuple[str, str, str]]]:
    """message -> field number -> (JSON name, optional|repeated|map, type)."""
    text = (Path(__file__).parent / "protobuf.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, tuple[str, str, str]]])


def decode(data: bytes, definition: str) -> dict[str, Any]:
    """The object in an envelope; `definition` as in builtin.json names what it must be. Raises ProtobufError."""
    api_version, kind, raw = _opened(data)
    message = META + kind if kind == "DeleteOptions" else message_of(definition)
    return {"apiVersion": api_version, "kind": kind, **_message(raw, message)}


def decode_answer(data: bytes, definition: str) -> dict[str, Any]:
    """What a server says to a request for that definition: an object, a list, a Status. Raises ProtobufError."""
    api_version, kind, raw = _opened(data)
    asked = definition.rpartition(".")[2]
    if kind == f"{asked}List":
        parts = list(_fields(raw))
        metadata: dict[str, Any] = {}
        for number, value in parts:
            if number == 1:
                metadata = _message(value, META + "ListMeta")
        items = [_message(value, message_of(definition)) for number, value in parts if number == 2]
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "items": items}
    if kind not in (asked, "Status"):
        raise ProtobufError(f"no message is known for {kind}")
    message = META + kind if kind == "Status" else message_of(definition)
    return {"apiVersion": api_version, "kind": kind, **_message(raw, message)}


def _opened(data: bytes) -> tuple[str, str, bytes]:
    """apiVersion, kind and the rest of an envelope. Raises ProtobufError."""
    if not data.startswith(MAGIC):
        raise ProtobufError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    api_version = kind = ""
    raw = b""
    for number, value in _fields(data[len(MAGIC) :]):
        if number == 1:
            names = dict(_fields(value))
            api_version, kind = names.get(1, b"").decode(), names.get(2, b"").decode()
        elif number == 2:
            raw = value
    return api_version, kind, raw


def message_of(definition: str) -> str:
    """io.k8s.api.core.v1.Pod -> k8s.io.api.core.v1.Pod"""
    return definition.replace("io.k8s.", "k8s.io.", 1).replace("-", "_")


class Message(msgspec.Struct, frozen=True):
    """What a message says in JSON.

    `fields`: number -> (JSON name, label, type). `embedded` are structs embedded in Go: messages of their own on
    the wire, spread out in JSON. `zeros` are those whose zero, or empty text, JSON has, too.
    """

    fields: Mapping[str, tuple[str, str, str]]
    embedded: frozenset[str]
    zeros: frozenset[str]


@lru_cache(maxsize=2048)
def message(name: str) -> Message | None:
    """Where Go's names and JSON's differ, the JSON definition of the kind decides; None: no such message."""
    fields = messages().get(name)
    definition = name.replace("k8s.io.", "io.k8s.", 1).replace("_", "-")
    if fields is None or definition not in raw_definitions():
        return None if fields is None else Message(fields, frozenset(), _zeros(name, fields, ()))
    structure = raw_definition(definition)
    properties = structure.get("properties", {})
    spelled = {each.lower(): each for each in properties}
    fields = {
        number: (spelled.get(field.lower(), field), label, kind) for number, (field, label, kind) in fields.items()
    }
    embedded = (
        field
        for field, label, kind in fields.values()
        if label == "optional" and field not in properties and kind in messages() and kind not in SPECIAL
        if any(inner in properties for inner, _, _ in messages()[kind].values())
    )
    return Message(fields, frozenset(embedded), _zeros(name, fields, structure.get("required", ())))


def _zeros(name: str, fields: Mapping[str, tuple[str, str, str]], required: Sequence[str]) -> frozenset[str]:
    """Messages that are numbers or text in JSON (IntOrString, JSON) are pointers."""
    short = name.rpartition(".")[2]
    return frozenset(
        field
        for field, label, kind in fields.values()
        if label == "optional" and f"{short}.{field}" not in PLAIN
        if f"{short}.{field}" in SAID
        or (kind in SCALARS and (field in POINTERS or field in required))
        or kind in SPECIAL
    )


def _message(data: bytes, name: str) -> Any:
    special = SPECIAL.get(name)
    if special is not None:
        return special(data)
    found = message(name)
    if found is None:
        raise ProtobufError(f"no protobuf message {name} is known")
    out: dict[str, Any] = {}
    for number, value in _fields(data):
        known = found.fields.get(str(number))
        if known is None:
            continue
        field, label, kind = known
        if field in found.embedded:
            out.update(_value(value, kind))
        elif label == "map":
            key, item = _entry(value, kind)
            out.setdefault(field, {})[key] = item
        elif label == "repeated":
            out.setdefault(field, []).extend(_repeated(value, kind))
        else:
            decoded = _value(value, kind)
            if decoded is not None and (decoded not in ("", 0) or field in found.zeros):
                out[field] = decoded
    return {json_name(field): value for field, value in out.items()} if name == SCHEMA + "JSONSchemaProps" else out


def _entry(data: bytes, kind: str) -> tuple[str, Any]:
    item = kind[4:-1].split(",", 1)[1]
    fields = dict(_fields(data))
    value = fields.get(2)
    if value is None:
        value = b"" if item in ("string", "bytes") or item.startswith("k8s") else 0
    return fields.get(1, b"").decode(), _value(value, item)


def _repeated(value: Any, kind: str) -> list[Any]:
    if isinstance(value, bytes) and kind in ("int32", "int64", "bool"):
        return [_value(number, kind) for number in _packed(value)]
    return [_value(value, kind)]


def _value(value: Any, kind: str) -> Any:
    try:
        match kind:
            case "string":
                return value.decode()
            case "bytes":
                return base64.b64encode(value).decode()
            case "bool":
                return bool(value)
            case "int32" | "int64":
                return value - (1 << 64) if value >= 1 << 63 else value
            case "double":
                return struct.unpack("<d", value)[0]
    except (AttributeError, UnicodeDecodeError, TypeError, struct.error) as error:
        raise ProtobufError(f"a {kind} is malformed") from error
    if not isinstance(value, bytes):
        raise ProtobufError(f"a {kind} is malformed")
    return _message(value, kind)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            size, position = _varint(data, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ProtobufError(f"wire type {wire} is not used")
        if position + size > end:
            raise ProtobufError("unexpected EOF")
        yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ProtobufError("unexpected EOF")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def _packed(data: bytes) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        yield value


def json_name(field: str) -> str:
    """How apiextensions' JSONSchemaProps spells its fields in JSON."""
    if field in ("ref", "schema"):
        return "$" + field
    if field.startswith("xKubernetes"):
        return re.sub(r"([A-Z])", r"-\1", field).lower()
    return field


def _time(data: bytes) -> str | None:
    fields = dict(_fields(data))
    if not fields.get(1):
        return None
    return datetime.fromtimestamp(fields[1], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(data: bytes) -> str | None:
    fields = dict(_fields(data))
    if not fields.get(1):
        return None
    text = datetime.fromtimestamp(fields[1], UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fields.get(2, 0) // 1000:06d}Z"


def _int_or_string(data: bytes) -> int | str:
    fields = dict(_fields(data))
    if fields.get(1) == 1:
        text: str = fields.get(3, b"").decode()
        return text
    number: int = _value(fields.get(2, 0), "int64")
    return number


def _raw_json(data: bytes) -> Any:
    raw = dict(_fields(data)).get(1, b"")
    try:
        return json.loads(raw) if raw else None
    except ValueError as error:
        raise ProtobufError("embedded JSON is malformed") from error


def _schema_or(data: bytes, other: int, many: bool) -> Any:
    fields = list(_fields(data))
    schema_number = 1 if many else 2
    schemas = [value for number, value in fields if number == schema_number]
    if schemas:
        return _message(schemas[0], SCHEMA + "JSONSchemaProps")
    if many:
        return [_message(value, SCHEMA + "JSONSchemaProps") for number, value in fields if number == other]
    return any(value for number, value in fields if number == other)


def _strings(data: bytes) -> list[str]:
    """A message on the wire, a list in JSON."""
    return [value.decode() for number, value in _fields(data) if number == 1]


SPECIAL: Mapping[str, Any] = {
    "k8s.io.api.authentication.v1.ExtraValue": _strings,
    "k8s.io.api.authorization.v1.ExtraValue": _strings,
    "k8s.io.api.certificates.v1.ExtraValue": _strings,
    META + "Verbs": _strings,
    META + "Time": _time,
    META + "MicroTime": _micro_time,
    META + "FieldsV1": _raw_json,
    META + "Duration": lambda data: None,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": lambda data: dict(_fields(data)).get(1, b"0").decode() or "0",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _raw_json,
    SCHEMA + "JSON": _raw_json,
    SCHEMA + "JSONSchemaPropsOrArray": lambda data: _schema_or(data, 2, True),
    SCHEMA + "JSONSchemaPropsOrBool": lambda data: _schema_or(data, 1, False),
    SCHEMA + "JSONSchemaPropsOrStringArray": lambda data: [
        value.decode() for number, value in _fields(data) if number == 2
    ],
}
