"""Which node a user is (pkg/auth/nodeidentifier)."""

from __future__ import annotations

from minikube.auth.base import User
from minikube.pki.node import GROUP, PREFIX


def node_of(user: User) -> str | None:
    """None: no node."""
    if GROUP not in user.groups or not user.name.startswith(PREFIX):
        return None
    return user.name.removeprefix(PREFIX)
