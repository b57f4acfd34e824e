"""Service account tokens of pods, bound to them, renewed before they end. Rules: pkg/kubelet/token."""

from __future__ import annotations

from datetime import datetime, timedelta

from minikube.api.authentication_v1 import BoundObjectReference, TokenRequest, TokenRequestSpec
from minikube.api.core_v1 import Pod, ServiceAccount
from minikube.client.base import Client
from minikube.errors import ApiError
from minikube.kit.clock import Clock
from minikube.node.volumes.files import TokenKind
from minikube.node.volumes.problems import Unmet

RENEW_AT, RENEW_AFTER = 0.8, timedelta(hours=24)
"""A token is renewed when this share of its life is over, or after a day."""


class Tokens:
    """By pod."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._held: dict[str, dict[TokenKind, tuple[bytes, datetime]]] = {}

    async def get(self, pod: Pod, kind: TokenKind) -> bytes:
        """The present one, or a new one when that is due. Raises Unmet."""
        held, now = self._held.setdefault(pod.metadata.uid, {}), self._clock.now()
        if kind in held and now < held[kind][1]:
            return held[kind][0]
        try:
            token, until = await self._request(pod, kind)
        except ApiError as error:
            raise Unmet(f"failed to fetch token: {error.message}") from error
        renew = now + min((until - now) * RENEW_AT, RENEW_AFTER)
        held[kind] = token, renew
        return token

    def due_in(self, uid: str) -> float | None:
        """Seconds until the first of the pod's tokens is to be renewed; None if it has none."""
        times = [renew for _, renew in self._held.get(uid, {}).values()]
        return (min(times) - self._clock.now()).total_seconds() if times else None

    def forget(self, uid: str) -> None:
        self._held.pop(uid, None)

    async def _request(self, pod: Pod, kind: TokenKind) -> tuple[bytes, datetime]:
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
        return answer.status.token.encode(), until if until is not None else self._clock.now()
