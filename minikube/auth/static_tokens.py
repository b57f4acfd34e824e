"""Static tokens: a CSV file of token, user, uid and optionally "group,group", read once.

Rules: kubernetes.io/docs/reference/access-authn-authz/authentication#static-token-file.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

from minikube.auth.base import AUTHENTICATED, Credentials, User
from minikube.settings import SettingsError


class StaticTokens:
    """Tokens are kept and looked up by their hash, so that the time it takes tells nothing of them."""

    def __init__(self, users: Mapping[str, User], *, audience: str) -> None:
        self._users = {_hash(token): user for token, user in users.items()}
        self._audience = audience

    async def authenticate(self, credentials: Credentials) -> User | None:
        if not credentials.bearer or (credentials.audiences and self._audience not in credentials.audiences):
            return None
        return self._users.get(_hash(credentials.bearer))


def read_static_tokens(path: Path) -> dict[str, User]:
    """Raises SettingsError with the line that is wrong."""
    users: dict[str, User] = {}
    try:
        with path.open(newline="") as file:
            for number, row in enumerate(csv.reader(file, skipinitialspace=True), start=1):
                if not row or row[0].startswith("#"):
                    continue
                if len(row) < 3 or not row[0] or not row[1]:
                    raise SettingsError(
                        f"{path}, line {number}: at least a token, a user name and a uid are expected"
                    )
                if row[0] in users:
                    raise SettingsError(f"{path}, line {number}: this token is there twice")
                groups = [one.strip() for one in row[3].split(",")] if len(row) > 3 and row[3] else []
                users[row[0]] = User(row[1], row[2], (*groups, AUTHENTICATED))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    return users


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
