"""Several authenticators as one: the first that knows the credentials decides who they are."""

from __future__ import annotations

from collections.abc import Sequence

from minikube.auth.base import ANONYMOUS, Authenticator, Credentials, User
from minikube.errors import Unauthorized


class UnionAuthenticator:
    """Nobody's credentials are wrong because one authenticator calls them so: another may know them."""

    def __init__(self, authenticators: Sequence[Authenticator]) -> None:
        self._authenticators = authenticators

    async def authenticate(self, credentials: Credentials) -> User | None:
        """None: there are no credentials at all. Raises Unauthorized for a bearer token that nobody accepts."""
        for authenticator in self._authenticators:
            try:
                user = await authenticator.authenticate(credentials)
            except Unauthorized:
                continue
            if user is not None:
                return user
        if credentials.bearer:
            raise Unauthorized
        return None


async def user_of(authenticator: Authenticator, credentials: Credentials) -> User:
    """Without credentials: the anonymous user. Raises Unauthorized."""
    return await authenticator.authenticate(credentials) or ANONYMOUS
