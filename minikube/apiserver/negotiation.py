"""What the client wants to read and what it sent: JSON, YAML, tables, metadata only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from minikube.apiserver.decode_json import UNRECOGNIZED, decode_json, duplicates
from minikube.apiserver.decode_yaml import decode_yaml
from minikube.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from minikube.schema import protobuf
from minikube.schema.protobuf import ProtobufError

JSON = "application/json"
JSON_TYPES = frozenset({JSON, "application/*", "*/*", ""})
YAML = "application/yaml"
APPLY_PATCH = "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
DELETE_OPTIONS, STATUS = META + "DeleteOptions", META + "Status"
BODY_LIMIT = 3 * 1024 * 1024
DEPTH_LIMIT = 200


class Wanted(msgspec.Struct, frozen=True):
    """`view` is "", Table or PartialObjectMetadata (lists follow); `media` JSON, YAML or PROTOBUF."""

    view: str = ""
    media: str = JSON
    discovery: str = ""
    """apidiscovery.k8s.io version when an aggregated document is asked for."""


_seen: dict[tuple[str, bool, bool], Wanted] = {}


def wanted(accept: str, *, views: bool = True, messages: bool = False) -> Wanted:
    """The best offer of an Accept header that can be had; `views`: also as a table or metadata only; `messages`:
    also in protobuf, but for tables.

    Raises NotAcceptable.
    """
    found = _seen.get((accept, views, messages))
    if found is None:
        found = _negotiate(accept, views=views, messages=messages)
        if len(_seen) < 256:
            _seen[accept, views, messages] = found
    return found


VIEWS = {
    "": "",
    "Table": "Table",
    "PartialObjectMetadata": "PartialObjectMetadata",
    "PartialObjectMetadataList": "PartialObjectMetadata",
}


def _negotiate(accept: str, *, views: bool, messages: bool) -> Wanted:
    offers: list[tuple[float, int, Wanted]] = []
    for index, clause in enumerate(accept.split(",")):
        media, *parameters = (part.strip() for part in clause.split(";"))
        options = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        offer = _offer(media.lower(), options, views=views, messages=messages)
        quality = _quality(options.get("q", "1"))
        if offer is not None and quality > 0:
            offers.append((-quality, index, offer))
    if not offers:
        accepted = (JSON, YAML, PROTOBUF) if messages else (JSON, YAML)
        raise NotAcceptable(f"only the following media types are accepted: {', '.join(accepted)}")
    return min(offers, key=lambda offer: offer[:2])[2]


def _offer(media: str, options: Mapping[str, str], *, views: bool, messages: bool) -> Wanted | None:
    if media not in JSON_TYPES and media not in (YAML, PROTOBUF):
        return None
    kind = options.get("as", "")
    if media == PROTOBUF:
        readable = messages and VIEWS.get(kind) in ("", "PartialObjectMetadata") and (views or not kind)
        return Wanted(VIEWS[kind], PROTOBUF) if readable else None
    out = YAML if media == YAML else JSON
    if kind == "APIGroupDiscoveryList":
        return Wanted("", out, options.get("v", ""))
    if kind not in VIEWS or (kind and not views):
        return None
    return Wanted(VIEWS[kind], out)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Body(msgspec.Struct, frozen=True):
    """A decoded body, and the fields it sets twice in the words of strict decoding."""

    tree: Any
    duplicates: list[str] = []


def decode_body(
    data: bytes,
    content_type: str,
    *,
    definition: str = "",
    json_also: Sequence[str] = (),
    strict: bool = False,
    refusal: str = UNRECOGNIZED,
) -> Body:
    """`definition` says what a protobuf body is; `strict` looks for duplicates; `refusal` begins what is told of
    text that is no JSON.

    Raises BadRequest or UnsupportedMediaType.
    """
    media = content_type.split(";")[0].strip().lower()
    if media == PROTOBUF and definition:
        try:
            return Body(protobuf.decode(data, definition))
        except ProtobufError as error:
            raise BadRequest(f"the object provided is unrecognized: {error}") from error
    if media in (JSON, "", *json_also) and media != APPLY_PATCH:
        body = Body(decode_json(data, refusal))
        _check_depth(body.tree, DEPTH_LIMIT)
        return Body(body.tree, duplicates(data)) if strict else body
    if media == APPLY_PATCH:
        return _apply_patch(data)
    if media == YAML:
        read = decode_yaml(data)
        return Body(read.tree, read.duplicates)
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        f"{JSON}, {YAML}, {PROTOBUF}"
    )


def read_body(data: bytes, content_type: str, *, definition: str = "", json_also: Sequence[str] = ()) -> Any:
    """The tree alone. Raises as `decode_body` does."""
    return decode_body(data, content_type, definition=definition, json_also=json_also).tree


def _apply_patch(data: bytes) -> Body:
    """YAML, which most clients write as JSON: that is read faster, and as YAML only to name duplicates by line."""
    if data.lstrip()[:1] != b"{":
        read = decode_yaml(data)
        return Body(read.tree, read.duplicates)
    try:
        tree = decode_json(data)
    except BadRequest:
        read = decode_yaml(data)
        return Body(read.tree, read.duplicates)
    _check_depth(tree, DEPTH_LIMIT)
    return Body(tree, decode_yaml(data).duplicates if duplicates(data) else [])


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
