"""What the client wants to read and what it sent: JSON, YAML, tables, metadata only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from minikube.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from minikube.schema import protobuf
from minikube.schema.protobuf import ProtobufError

JSON = "application/json"
JSON_TYPES = frozenset({JSON, "application/*", "*/*", ""})
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
BODY_LIMIT = 3 * 1024 * 1024
DEPTH_LIMIT = 200


class Wanted(msgspec.Struct, frozen=True):
    """`view` is "", Table or PartialObjectMetadata (lists follow); `media` JSON or YAML."""

    view: str = ""
    media: str = JSON
    discovery: str = ""
    """apidiscovery.k8s.io version when an aggregated document is asked for."""


_seen: dict[str, Wanted] = {}


def wanted(accept: str) -> Wanted:
    """The first offer of an Accept header that can be had. Raises NotAcceptable."""
    found = _seen.get(accept)
    if found is None:
        found = _negotiate(accept)
        if len(_seen) < 256:
            _seen[accept] = found
    return found


def _negotiate(accept: str) -> Wanted:
    offers: list[tuple[float, int, Wanted]] = []
    for index, clause in enumerate(accept.split(",")):
        media, *parameters = (part.strip() for part in clause.split(";"))
        options = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        try:
            quality = float(options.get("q", "1"))
        except ValueError:
            quality = 0.0
        if media in JSON_TYPES or media in (YAML, "application/vnd.kubernetes.yaml"):
            kind = options.get("as", "")
            view = {
                "Table": "Table",
                "PartialObjectMetadata": "PartialObjectMetadata",
                "PartialObjectMetadataList": "PartialObjectMetadata",
            }.get(kind, "")
            aggregated = options.get("v", "") if kind == "APIGroupDiscoveryList" else ""
            if kind and not view and not aggregated:
                continue
            out = Wanted(view, YAML if media == YAML else JSON, aggregated)
            offers.append((-quality, index, out))
    if not offers:
        raise NotAcceptable("only the following media types are accepted: application/json, application/yaml")
    return min(offers, key=lambda offer: offer[:2])[2]


def read_body(data: bytes, content_type: str, *, definition: str = "", json_also: Sequence[str] = ()) -> Any:
    """The decoded body; `definition` says what a protobuf body is. Raises BadRequest or UnsupportedMediaType."""
    media = content_type.split(";")[0].strip().lower()
    if media == PROTOBUF and definition:
        try:
            return protobuf.decode(data, definition)
        except ProtobufError as error:
            raise BadRequest(f"the object provided is unrecognized: {error}") from error
    if media in (JSON, "", *json_also):
        try:
            found = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"the object provided is unrecognized: couldn't parse JSON: {error}") from error
    elif media in (YAML, "application/apply-patch+yaml"):
        found = _yaml(data)
    else:
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {JSON}, {YAML}"
        )
    _check_depth(found, DEPTH_LIMIT)
    return found


def _yaml(data: bytes) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return msgspec.json.decode(msgspec.json.encode(yaml.load(data, Loader=loader)))
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise BadRequest(f"the object provided is unrecognized: couldn't parse YAML: {error}") from error


def _check_depth(value: Any, left: int) -> None:
    if left == 0:
        raise BadRequest("the object provided is nested too deeply")
    if isinstance(value, dict):
        for sub in value.values():
            if isinstance(sub, dict | list):
                _check_depth(sub, left - 1)
    elif isinstance(value, list):
        for sub in value:
            if isinstance(sub, dict | list):
                _check_depth(sub, left - 1)
