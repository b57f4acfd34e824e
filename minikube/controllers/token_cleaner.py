"""Deletes bootstrap tokens when they expire (upstream's tokencleaner)."""

from __future__ import annotations

import contextlib
from typing import ClassVar

from minikube.api.core_v1 import Secret
from minikube.api.meta import Key
from minikube.auth import bootstrap_tokens as tokens
from minikube.controllers.base import After, Context, Watch
from minikube.errors import NotFound


class TokenCleanerController:
    name: ClassVar[str] = "token-cleaner"
    workers: ClassVar[int] = 1
    watches = (
        Watch(
            Secret,
            lambda secret: (
                (Key(secret.metadata.namespace, secret.metadata.name),)
                if secret.type == tokens.TYPE and secret.metadata.namespace == tokens.NAMESPACE
                else ()
            ),
        ),
    )

    def __init__(self, context: Context) -> None:
        self._client, self._clock = context.client, context.clock
        self._secrets = context.informers.of(Secret).lister

    async def reconcile(self, key: Key) -> After | None:
        secret = self._secrets.get(key.name, key.namespace)
        if secret is None:
            return None
        try:
            at = tokens.expiration(tokens.values_of(secret))
        except ValueError:
            return None
        if at is None:
            return None
        left = (at - self._clock.now()).total_seconds()
        if left > 0:
            return After(left)
        with contextlib.suppress(NotFound):
            await self._client.delete(Secret, key.name, key.namespace, uid=secret.metadata.uid)
        return None
