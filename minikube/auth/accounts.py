"""Service accounts as users: system:serviceaccount:<namespace>:<name>."""

from __future__ import annotations

from minikube.api.meta import Key
from minikube.auth.base import AUTHENTICATED

PREFIX = "system:serviceaccount:"


def account_user(namespace: str, name: str) -> str:
    return f"{PREFIX}{namespace}:{name}"


def account_of(user: str) -> Key | None:
    """The service account that a user name stands for; None: it is not one's name."""
    if not user.startswith(PREFIX):
        return None
    namespace, _, name = user.removeprefix(PREFIX).partition(":")
    return Key(namespace, name) if namespace and name and ":" not in name else None


def account_groups(namespace: str) -> tuple[str, str, str]:
    return "system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED
