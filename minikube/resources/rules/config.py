"""What ConfigMaps, Secrets and ServiceAccounts may say (ValidateConfigMap, ValidateSecret …)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from minikube.api.core_v1 import ConfigMap, Secret
from minikube.api.names import config_key_problems
from minikube.errors import FieldError
from minikube.resources.base import Obj, ReadOnlyObj, Strategy
from minikube.resources.rules.invalid import forbidden, immutable, invalid, key, quoted, required, too_long
from minikube.resources.warnings.tls_pair import pair_problem

MAX_BYTES = 1024 * 1024
SEALED = "field is immutable when `immutable` is set"
_ACCOUNT = "kubernetes.io/service-account.name"
_NEEDS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def _size(encoded: str) -> int:
    """Of what this base64 text stands for."""
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def _keys(data: Mapping[str, str], path: str) -> Iterator[FieldError]:
    for name in data:
        for why in config_key_problems(name):
            yield invalid(key(path, name), name, why)


class ConfigMapRules(Strategy[ConfigMap]):
    def validate(self, new: ConfigMap, old: ConfigMap | None) -> Iterator[FieldError]:
        yield from _keys(new.data, "data")
        for name in new.data:
            if name in new.binary_data:
                yield invalid(key("data", name), name, "duplicate of key present in binaryData")
        yield from _keys(new.binary_data, "binaryData")
        size = sum(len(value.encode()) for value in new.data.values())
        if size + sum(_size(value) for value in new.binary_data.values()) > MAX_BYTES:
            yield too_long("[]", MAX_BYTES)
        if old is not None and old.immutable:
            if not new.immutable:
                yield forbidden("immutable", SEALED)
            if new.data != old.data:
                yield forbidden("data", SEALED)
            if new.binary_data != old.binary_data:
                yield forbidden("binaryData", SEALED)


class SecretRules(Strategy[Secret]):
    def default(self, new: Obj) -> None:
        """stringData is for writing only: it ends up in data."""
        given = new.pop("stringData", None)
        if isinstance(given, dict) and given:
            data = dict(new.get("data") or {})
            data.update({name: base64.b64encode(str(value).encode()).decode() for name, value in given.items()})
            new["data"] = data

    def prepare_update(self, new: Obj, old: ReadOnlyObj) -> None:
        if not new.get("type"):
            new["type"] = old.get("type", "Opaque")

    def validate(self, new: Secret, old: Secret | None) -> Iterator[FieldError]:
        yield from _keys(new.data, "data")
        if sum(_size(value) for value in new.data.values()) > MAX_BYTES:
            yield too_long("data", MAX_BYTES)
        yield from _typed(new)
        if old is None:
            return
        yield from immutable("type", new.type, old.type)
        if old.immutable:
            if not new.immutable:
                yield forbidden("immutable", SEALED)
            if new.data != old.data:
                yield forbidden("data", SEALED)

    def warnings(self, new: Secret, old: Secret | None) -> Iterator[str]:
        if new.type == "kubernetes.io/tls":
            pair = (base64.b64decode(new.data.get(name, "")) for name in ("tls.crt", "tls.key"))
            if problem := pair_problem(*pair):
                yield problem

    def fields(self, obj: Any) -> Mapping[str, str]:
        return {"type": obj.type}


def _typed(secret: Secret) -> Iterator[FieldError]:
    """What the types that Kubernetes knows have to carry."""
    if secret.type == "kubernetes.io/service-account-token":
        if not secret.metadata.annotations.get(_ACCOUNT):
            yield required(key("metadata.annotations", _ACCOUNT))
        return
    if secret.type == "kubernetes.io/basic-auth" and not {"username", "password"} & secret.data.keys():
        yield required(key("data", "username"))
        yield required(key("data", "password"))
    for name in _NEEDS.get(secret.type, ()):
        if name not in secret.data:
            yield required(key("data", name))
        elif name.startswith(".docker") and (why := _no_json(secret.data[name])):
            yield invalid(key("data", name), "<secret contents redacted>", why)


_EXPECTED = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
}
"""What Go's parser says of what Python's expected."""


def _no_json(encoded: str) -> str:
    """Why this is no JSON object, as Go's encoding/json says it, or nothing."""
    text = base64.b64decode(encoded).decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        if not text[error.pos :].strip():
            return "unexpected end of JSON input"
        where = _EXPECTED.get(error.msg, "in JSON")
        return f"invalid character {quoted(text[error.pos])[1:-1]!r} {where}"
    except RecursionError:
        return "exceeded max depth"
    if isinstance(found, dict) or found is None:
        return ""
    name = {str: "string", bool: "bool", list: "array"}.get(type(found), "number")
    return f"json: cannot unmarshal {name} into Go value of type map[string]interface {{}}"
