"""Service account tokens of pods, bound to them, renewed before they end. Rules: pkg/kubelet/token.

They are kept on disk, too, so that a machine that boots without any server runs its pods again.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from minikube.api.authentication_v1 import BoundObjectReference, TokenRequest, TokenRequestSpec
from minikube.api.core_v1 import Pod, ServiceAccount
from minikube.client.base import Client
from minikube.errors import ApiError, ServiceUnavailable
from minikube.kit.clock import Clock
from minikube.kit.files import write_private
from minikube.node.volumes.files import TokenKind
from minikube.node.volumes.problems import Unmet

RENEW_AT, RENEW_AFTER = 0.8, timedelta(hours=24)
"""A token is renewed when this share of its life is over, or after a day."""
ASK_AGAIN = timedelta(seconds=30)
"""After one was taken from disk because no server answered."""


class Held(msgspec.Struct, frozen=True):
    kind: TokenKind
    token: str
    renew: datetime


class Tokens:
    """By pod; each one's are kept in its directory."""

    def __init__(self, client: Client, clock: Clock, pods_dir: Path) -> None:
        self._client, self._clock, self._pods_dir = client, clock, pods_dir
        self._held: dict[str, dict[TokenKind, Held]] = {}

    async def get(self, pod: Pod, kind: TokenKind) -> bytes:
        """The present one, or a new one when that is due. Raises Unmet."""
        uid, now = pod.metadata.uid, self._clock.now()
        held = self._held.setdefault(uid, {})
        if kind in held and now < held[kind].renew:
            return held[kind].token.encode()
        try:
            token, until = await self._request(pod, kind)
        except ServiceUnavailable as error:
            if (kept := await asyncio.to_thread(self._kept, uid, kind)) is None:
                raise Unmet(f"failed to fetch token: {error.message}") from error
            held[kind] = Held(kind, kept.token, now + ASK_AGAIN)
            return kept.token.encode()
        except ApiError as error:
            raise Unmet(f"failed to fetch token: {error.message}") from error
        held[kind] = Held(kind, token, now + min((until - now) * RENEW_AT, RENEW_AFTER))
        await asyncio.to_thread(write_private, self._file(uid), msgspec.json.encode(list(held.values())))
        return token.encode()

    def due_in(self, uid: str) -> float | None:
        """Seconds until the first of the pod's tokens is to be renewed; None if it has none."""
        times = [each.renew for each in self._held.get(uid, {}).values()]
        return (min(times) - self._clock.now()).total_seconds() if times else None

    def forget(self, uid: str) -> None:
        self._held.pop(uid, None)
        self._file(uid).unlink(missing_ok=True)

    def _file(self, uid: str) -> Path:
        return self._pods_dir / uid / "tokens.json"

    def _kept(self, uid: str, kind: TokenKind) -> Held | None:
        """From before we started."""
        try:
            every = msgspec.json.decode(self._file(uid).read_bytes(), type=list[Held])
        except (OSError, msgspec.MsgspecError):
            return None
        return next((each for each in every if each.kind == kind), None)

    async def _request(self, pod: Pod, kind: TokenKind) -> tuple[str, datetime]:
        meta = pod.metadata
        spec = TokenRequestSpec(
            audiences=(kind.audience,) if kind.audience else (),
            expiration_seconds=kind.seconds,
            bound_object_ref=BoundObjectReference(api_version="v1", kind="Pod", name=meta.name, uid=meta.uid),
        )
        account = pod.spec.service_account_name or "default"
        answer = await self._client.create_subresource(
            ServiceAccount, account, meta.namespace, "token", TokenRequest(spec=spec)
        )
        until = answer.status.expiration_timestamp
        return answer.status.token, until if until is not None else self._clock.now()
