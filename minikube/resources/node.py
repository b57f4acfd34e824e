"""node.k8s.io: runtime classes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.node_v1 import RuntimeClass
from minikube.resources.declare import columns, declare, since
from minikube.resources.rules.quota import RuntimeClassRules


def class_row(of: RuntimeClass, now: datetime) -> Sequence[Any]:
    return of.metadata.name, of.handler, since(of, now)


KINDS = (
    declare(RuntimeClass, strategy=RuntimeClassRules(), columns=columns("Name", "Handler", "Age"), row=class_row),
)
