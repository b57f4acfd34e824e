"""To which key a node's name is bound, kept as a Secret `<node>.node-identity` in kube-system.

A client certificate of a node is good only with the key of this record. So a name cannot be taken by another
machine that has a join token, and forgetting the key shuts one node out at once.
"""

from __future__ import annotations

import base64
import enum
from datetime import datetime

from minikube.api import time
from minikube.api.core_v1 import Secret
from minikube.api.meta import ObjectMeta

NAMESPACE, TYPE = "kube-system", "minikube/node-identity"
_SUFFIX = ".node-identity"


class Binding(enum.Enum):
    FREE = enum.auto()
    OWN = enum.auto()
    TAKEN = enum.auto()
    REVOKED = enum.auto()


def secret_name(node: str) -> str:
    return node + _SUFFIX


def node_of(secret: Secret) -> str | None:
    """None: the Secret is no node's identity."""
    return secret.metadata.name.removesuffix(_SUFFIX) if secret.type == TYPE else None


def decide(record: Secret | None, key: str) -> Binding:
    """What the name is to a machine with this public key (SHA-256, hex)."""
    if record is None:
        return Binding.FREE
    if is_revoked(record):
        return Binding.REVOKED
    known = _text(record, "key")
    if not known:
        return Binding.FREE
    return Binding.OWN if known == key else Binding.TAKEN


def is_revoked(record: Secret) -> bool:
    return bool(_text(record, "revoked"))


def bound(node: str, key: str, at: datetime, old: Secret | None) -> Secret:
    return _record(node, {"key": key, "bound": time.text(at)}, old)


def revoked(node: str, at: datetime, old: Secret | None) -> Secret:
    return _record(node, {"revoked": time.text(at)}, old)


def free(node: str, old: Secret | None) -> Secret:
    """Whoever joins next with this name gets it; until then no certificate is good for it."""
    return _record(node, {}, old)


def rejoin_advice(node: str) -> str:
    return f"if that is intended, run `minikube node rejoin {node}` on a server first"


def _record(node: str, values: dict[str, str], old: Secret | None) -> Secret:
    meta = ObjectMeta(
        name=secret_name(node),
        namespace=NAMESPACE,
        resource_version=old.metadata.resource_version if old is not None else "",
    )
    data = {name: base64.b64encode(text.encode()).decode() for name, text in values.items()}
    return Secret(metadata=meta, type=TYPE, data=data)


def _text(record: Secret, name: str) -> str:
    return base64.b64decode(record.data.get(name, "")).decode()
