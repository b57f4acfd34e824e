"""A Swagger 2.0 document in protobuf, which kubectl before 1.29 and Helm 3 ask for and cannot do without.

Field numbers: github.com/google/gnostic openapiv2/OpenAPIv2.proto. Only what our own documents contain is known;
anything else raises, so that a new construct is noticed by the tests and not lost.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from minikube.kit.varint import varint

Json = Any
MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED_AS = (MEDIA_TYPE, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
"""The second is no valid media type, so clients ask for it and cannot read it as the type of an answer."""

# message -> key of the JSON document -> (field number, type). A type that begins with a capital is a message,
# `[]` is repeated, `{}` a map as a list of (name = 1, value = 2) pairs; `extension` stands for every x- key.
MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "Document": {
        "swagger": (1, "string"), "info": (2, "Info"), "paths": (8, "Paths"), "definitions": (9, "Definitions"),
        "security": (12, "[]SecurityRequirement"), "securityDefinitions": (13, "SecurityDefinitions"),
    },
    "Info": {"title": (1, "string"), "version": (2, "string")},
    "Paths": {"*": (2, "{}PathItem")},
    "Definitions": {"*": (1, "{}Schema")},
    "SecurityRequirement": {"*": (1, "{}StringArray")},
    "StringArray": {"value": (1, "[]string")},
    "SecurityDefinitions": {"*": (1, "{}SecurityDefinitionsItem")},
    "SecurityDefinitionsItem": {"apiKey": (2, "ApiKeySecurity")},
    "ApiKeySecurity": {
        "type": (1, "string"), "name": (2, "string"), "in": (3, "string"), "description": (4, "string"),
    },
    "PathItem": {
        "get": (2, "Operation"), "put": (3, "Operation"), "post": (4, "Operation"), "delete": (5, "Operation"),
        "options": (6, "Operation"), "head": (7, "Operation"), "patch": (8, "Operation"),
        "parameters": (9, "[]ParametersItem"), "extension": (10, "{}Any"),
    },
    "Operation": {
        "tags": (1, "[]string"), "description": (3, "string"), "operationId": (5, "string"),
        "produces": (6, "[]string"), "consumes": (7, "[]string"), "parameters": (8, "[]ParametersItem"),
        "responses": (9, "Responses"), "schemes": (10, "[]string"), "deprecated": (11, "bool"),
        "extension": (13, "{}Any"),
    },
    "ParametersItem": {"parameter": (1, "Parameter")},
    "Parameter": {"body": (1, "BodyParameter"), "other": (2, "NonBodyParameter")},
    "BodyParameter": {
        "description": (1, "string"), "name": (2, "string"), "in": (3, "string"), "required": (4, "bool"),
        "schema": (5, "Schema"), "extension": (6, "{}Any"),
    },
    "NonBodyParameter": {"query": (3, "QueryParameter"), "path": (4, "PathParameter")},
    "QueryParameter": {
        "required": (1, "bool"), "in": (2, "string"), "description": (3, "string"), "name": (4, "string"),
        "type": (6, "string"), "format": (7, "string"), "uniqueItems": (20, "bool"), "extension": (23, "{}Any"),
    },
    "PathParameter": {
        "required": (1, "bool"), "in": (2, "string"), "description": (3, "string"), "name": (4, "string"),
        "type": (5, "string"), "format": (6, "string"), "uniqueItems": (19, "bool"), "extension": (22, "{}Any"),
    },
    "Responses": {"*": (1, "{}ResponseValue"), "extension": (2, "{}Any")},
    "ResponseValue": {"response": (1, "Response")},
    "Response": {"description": (1, "string"), "schema": (2, "SchemaItem")},
    "SchemaItem": {"schema": (1, "Schema")},
    "Schema": {
        "$ref": (1, "string"), "format": (2, "string"), "title": (3, "string"), "description": (4, "string"),
        "default": (5, "Any"), "multipleOf": (6, "double"), "maximum": (7, "double"),
        "exclusiveMaximum": (8, "bool"), "minimum": (9, "double"), "exclusiveMinimum": (10, "bool"),
        "maxLength": (11, "int"), "minLength": (12, "int"), "pattern": (13, "string"), "maxItems": (14, "int"),
        "minItems": (15, "int"), "uniqueItems": (16, "bool"), "maxProperties": (17, "int"),
        "minProperties": (18, "int"), "required": (19, "[]string"), "enum": (20, "[]Any"),
        "additionalProperties": (21, "AdditionalPropertiesItem"), "type": (22, "TypeItem"),
        "items": (23, "ItemsItem"), "allOf": (24, "[]Schema"), "properties": (25, "Properties"),
        "externalDocs": (29, "ExternalDocs"), "example": (30, "Any"), "extension": (31, "{}Any"),
    },
    "AdditionalPropertiesItem": {"schema": (1, "Schema"), "boolean": (2, "bool")},
    "TypeItem": {"value": (1, "[]string")},
    "ItemsItem": {"schema": (1, "[]Schema")},
    "Properties": {"*": (1, "{}Schema")},
    "ExternalDocs": {"description": (1, "string"), "url": (2, "string")},
}  # fmt: skip


class Unknown(ValueError):
    """The document has something that this module does not know; the message names it."""


def encode(document: Json) -> bytes:
    """The bytes of the Document message. Raises Unknown."""
    return _message("Document", document)


def _message(name: str, value: Json) -> bytes:
    if name == "Any":
        return _bytes(2, msgspec.json.encode(value))
    value = _WRAPPED[name](value) if name in _WRAPPED else value
    fields = MESSAGES[name]
    extensions = {key: one for key, one in value.items() if key.startswith("x-") and "extension" in fields}
    out = bytearray()
    if "*" in fields:
        number, kind = fields["*"]
        out += _field(number, kind, {key: one for key, one in value.items() if key not in extensions})
    else:
        for key, one in value.items():
            if key in extensions:
                continue
            if key not in fields:
                raise Unknown(f"{name} with {key!r}")
            out += _field(*fields[key], one)
    if extensions:
        out += _field(*fields["extension"], extensions)
    return bytes(out)


def _parameter(value: Json) -> Json:
    return {"body": value} if value["in"] == "body" else {"other": value}


# Levels that the protobuf form has and the JSON form has not.
_WRAPPED: Mapping[str, Callable[[Json], Json]] = {
    "StringArray": lambda value: {"value": value},
    "SecurityDefinitionsItem": lambda value: {value["type"]: value},
    "ParametersItem": lambda value: {"parameter": value},
    "Parameter": _parameter,
    "NonBodyParameter": lambda value: {value["in"]: value},
    "ResponseValue": lambda value: {"response": value},
    "SchemaItem": lambda value: {"schema": value},
    "AdditionalPropertiesItem": lambda value: {"boolean": value} if isinstance(value, bool) else {"schema": value},
    "TypeItem": lambda value: {"value": [value]},
    "ItemsItem": lambda value: {"schema": [value]},
}


def _field(number: int, kind: str, value: Json) -> bytes:
    if kind.startswith("[]"):
        return b"".join(_field(number, kind[2:], one) for one in value)
    if kind.startswith("{}"):
        pairs: Iterable[tuple[str, Json]] = value.items()
        return b"".join(
            _bytes(number, _bytes(1, name.encode()) + _bytes(2, _message(kind[2:], one))) for name, one in pairs
        )
    if kind == "string":
        return _bytes(number, value.encode())
    if kind == "bool":
        return varint(number << 3) + varint(int(value))
    if kind == "int":
        return varint(number << 3) + varint(value)
    if kind == "double":
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return _bytes(number, _message(kind, value))


def _bytes(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value
