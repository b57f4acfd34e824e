"""Bootstrap tokens: `<id>.<secret>`, kept as Secrets in kube-system; they let a machine ask for its certificate.

Rules: kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens and kubernetes'
plugin/pkg/auth/authenticator/token/bootstrap.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from datetime import datetime

from minikube.api import time
from minikube.api.core_v1 import Secret
from minikube.api.meta import ObjectMeta
from minikube.auth.base import Credentials, User
from minikube.client.base import Lister
from minikube.kit.clock import Clock
from minikube.pki.join_token import BootstrapToken, parse_bootstrap_token

NAMESPACE, TYPE = "kube-system", "bootstrap.kubernetes.io/token"
NAME_PREFIX = "bootstrap-token-"
GROUP = "system:bootstrappers"
NODE_GROUP = f"{GROUP}:minikube:node"
"""What a token for joining nodes adds: its members may ask for a node's certificate and get it."""
_EXTRA_GROUP = re.compile(rf"{GROUP}:[a-z0-9:-]{{0,255}}[a-z0-9]")


class BootstrapTokens:
    def __init__(self, secrets: Lister[Secret], clock: Clock) -> None:
        self._secrets, self._clock = secrets, clock

    async def authenticate(self, credentials: Credentials) -> User | None:
        """None for whatever is no living token: the caller then answers 401."""
        token = parse_bootstrap_token(credentials.bearer)
        if token is None:
            return None
        found = self._secrets.get(NAME_PREFIX + token.id, NAMESPACE)
        if found is None or found.metadata.deletion_timestamp is not None or found.type != TYPE:
            return None
        values = values_of(found)
        same = hmac.compare_digest(values.get("token-secret", "").encode(), token.secret.encode())
        if not same or values.get("token-id") != token.id or expired(values, self._clock.now()):
            return None
        if values.get("usage-bootstrap-authentication") != "true":
            return None
        extra = [each for each in values.get("auth-extra-groups", "").split(",") if each]
        if not all(_EXTRA_GROUP.fullmatch(each) for each in extra):
            return None
        return User(f"system:bootstrap:{token.id}", groups=(GROUP, *extra, "system:authenticated"))


def values_of(secret: Secret) -> Mapping[str, str]:
    return {name: base64.b64decode(value).decode(errors="replace") for name, value in secret.data.items()}


def expiration(values: Mapping[str, str]) -> datetime | None:
    """None: never. Raises ValueError."""
    text = values.get("expiration", "")
    return datetime.fromisoformat(text) if text else None


def expired(values: Mapping[str, str], now: datetime) -> bool:
    """Also when nobody can read when."""
    try:
        at = expiration(values)
    except ValueError:
        return True
    return at is not None and now >= at


def token_secret(token: BootstrapToken, *, description: str, expires: datetime | None, groups: str) -> Secret:
    values = {
        "token-id": token.id,
        "token-secret": token.secret,
        "description": description,
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": groups,
        "expiration": time.text(expires) if expires is not None else "",
    }
    data = {name: base64.b64encode(text.encode()).decode() for name, text in values.items() if text}
    return Secret(metadata=ObjectMeta(name=NAME_PREFIX + token.id, namespace=NAMESPACE), type=TYPE, data=data)


def own_token_secret(token: BootstrapToken) -> Secret:
    """Of a server's own join token."""
    description = "The server's own join token (node-token)."
    return token_secret(token, description=description, expires=None, groups=NODE_GROUP)
