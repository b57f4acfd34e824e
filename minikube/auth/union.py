"""Several authenticators as one: the first that knows the credentials decides who they are."""

from __future__ import annotations

from collections.abc import Sequence

from minikube.auth.base import Authenticator, Credentials, User
from minikube.errors import Unauthorized


class UnionAuthenticator:
    """Nobody's credentials are wrong because one authenticator calls them so: another may know them."""

    def __init__(self, authenticators: Sequence[Authenticator]) -> None:
        self._authenticators = authenticators

    async def authenticate(self, credentials: Credentials) -> User | None:
        """None: there are no credentials at all. Raises Unauthorized for those that are known to be bad, and for a
        bearer token that nobody accepts."""
        problems = ["invalid bearer token"] if credentials.bearer else []
        for authenticator in self._authenticators:
            try:
                user = await authenticator.authenticate(credentials)
            except Unauthorized as error:
                problems.append(error.message)
                continue
            if user is not None:
                return user
        if problems:
            raise Unauthorized(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
        return None
