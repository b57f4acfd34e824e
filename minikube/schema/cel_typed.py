"""What is wrong with an expression about objects of a kind whose structure is known (type checks of policies).

A structure becomes a protobuf message, which the evaluator's own type checker reads. What the structure leaves open
may be anything. Rules: k8s.io/apiserver pkg/cel/common.SchemaDeclType.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from google.protobuf import (
    any_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from minikube.schema.cel import CelError, checked
from minikube.schema.structure import Structure, builtin

if TYPE_CHECKING:
    from cel_expr_python import cel

PACKAGE = "kubernetes"
_BASICS = (any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
_ANYTHING = ".google.protobuf.Value"
_FORMATS = {"date-time": ".google.protobuf.Timestamp", "date-time-micro": ".google.protobuf.Timestamp"}
_SCALARS = {
    "integer": FieldDescriptorProto.TYPE_INT64,
    "number": FieldDescriptorProto.TYPE_DOUBLE,
    "boolean": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
}
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_UNDEFINED = re.compile(r"(undefined field '[^']*') not found in struct '[^']*'")


def type_problem(text: str, definition: str, others: tuple[str, ...]) -> str:
    """In the words of the type checker, empty if nothing is wrong. `object` and `oldObject` are of the built-in
    kind of this definition, the `others` anything."""
    try:
        checked(text, _environment(definition, others))
    except CelError as error:
        return _UNDEFINED.sub(r"\1", str(error))
    return ""


@lru_cache(maxsize=64)
def _environment(definition: str, others: tuple[str, ...]) -> cel.Env:
    from cel_expr_python import cel

    from minikube.schema.cel_environment import environment

    pool = descriptor_pool.DescriptorPool()
    for basic in _BASICS:
        pool.AddSerializedFile(basic.DESCRIPTOR.serialized_pb)
    messages = _Messages()
    name = messages.of(builtin(definition))
    pool.AddSerializedFile(messages.file.SerializeToString())
    typed = cel.Type(name.removeprefix("."))
    return environment(others, {"object": typed, "oldObject": typed}, pool)


class _Messages:
    """The file of all messages that are made."""

    def __init__(self) -> None:
        self.file = FileDescriptorProto(name=f"{PACKAGE}.proto", package=PACKAGE, syntax="proto3")
        self.file.dependency.extend(basic.DESCRIPTOR.name for basic in _BASICS)
        self._known: dict[str, str] = {}

    def of(self, structure: Structure) -> str:
        """The full name of the message for an object with fields; definitions may contain themselves."""
        if structure.definition in self._known:
            return self._known[structure.definition]
        short = f"M{len(self.file.message_type)}"
        name = f".{PACKAGE}.{short}"
        if structure.definition:
            self._known[structure.definition] = name
        message = self.file.message_type.add(name=short)
        for field, child in structure.properties.items():
            if _NAME.fullmatch(field):
                self._add(message, field, child)
        return name

    def _add(self, message: DescriptorProto, field: str, child: Structure) -> None:
        number = len(message.field) + 1
        if child.type == "array" and child.items is not None and child.items.type != "array":
            added = message.field.add(name=field, number=number, label=FieldDescriptorProto.LABEL_REPEATED)
            self._typed(added, child.items)
        elif child.type == "object" and child.additional is not None and not child.properties:
            entry = message.nested_type.add(name=f"{field[0].upper()}{field[1:]}Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=FieldDescriptorProto.TYPE_STRING, label=1)
            self._typed(entry.field.add(name="value", number=2, label=1), child.additional)
            name = f".{PACKAGE}.{message.name}.{entry.name}"
            message.field.add(
                name=field, number=number, type=FieldDescriptorProto.TYPE_MESSAGE, type_name=name,
                label=FieldDescriptorProto.LABEL_REPEATED,
            )  # fmt: skip
        else:
            self._typed(message.field.add(name=field, number=number, label=1), child)

    def _typed(self, field: FieldDescriptorProto, structure: Structure) -> None:
        scalar = _SCALARS.get(structure.type)
        if structure.type == "string" and structure.format in _FORMATS:
            field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, _FORMATS[structure.format]
        elif structure.type == "string" and structure.format == "byte":
            field.type = FieldDescriptorProto.TYPE_BYTES
        elif scalar is not None and structure.format not in ("int-or-string", "quantity"):
            field.type = scalar
        elif structure.properties and not structure.preserve_unknown:
            field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, self.of(structure)
        else:
            field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, _ANYTHING
