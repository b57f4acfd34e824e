"""Bootstrap tokens: which are somebody, and who."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from minikube.api.core_v1 import Namespace, Secret
from minikube.api.meta import ObjectMeta
from minikube.auth.base import Credentials, User
from minikube.auth.bootstrap_tokens import NODE_GROUP, BootstrapTokens, token_secret
from minikube.pki.join_token import BootstrapToken
from tests.fakes.cluster import Cluster

TOKEN = BootstrapToken("abcdef", "0123456789abcdef")


def who(bearer: str, *, groups: str = NODE_GROUP, lives: float = 60, **data: str | None) -> User | None:
    """With the one token there is, its Secret's data (in base64) changed."""

    async def scene() -> User | None:
        cluster = await Cluster.open()
        await cluster.client.create(Namespace(metadata=ObjectMeta(name="kube-system")))
        expires = cluster.clock.now() + timedelta(seconds=lives)
        made = token_secret(TOKEN, description="d", expires=expires, groups=groups)
        changed = {name: value for name, value in {**made.data, **data}.items() if value is not None}
        await cluster.client.create(replace(made, data=changed))
        try:
            authenticator = BootstrapTokens(cluster.informers.of(Secret).lister, cluster.clock)
            return await authenticator.authenticate(Credentials(bearer=bearer))
        finally:
            assert cluster.running is not None
            cluster.running.cancel()

    return asyncio.run(scene())


def test_a_token_is_a_bootstrapper_with_the_groups_of_its_secret() -> None:
    groups = ("system:bootstrappers", "system:bootstrappers:minikube:node", "system:authenticated")
    assert who("abcdef.0123456789abcdef") == User("system:bootstrap:abcdef", groups=groups)


@pytest.mark.parametrize("bearer", ["abcdef.0123456789abcdee", "abcdeg.0123456789abcdef", "abcdef", "x" * 2000])
def test_another_secret_or_form_is_nobody(bearer: str) -> None:
    assert who(bearer) is None


def test_an_expired_token_is_nobody() -> None:
    assert who("abcdef.0123456789abcdef", lives=0) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("usage-bootstrap-authentication", None),
        ("expiration", "eWVzdGVyZGF5"),  # yesterday
        ("auth-extra-groups", "c3lzdGVtOm1hc3RlcnM="),  # system:masters
        ("token-id", "Z2hpamts"),  # ghijkl
    ],
)
def test_a_secret_that_says_something_else_is_nobody(field: str, value: str | None) -> None:
    assert who("abcdef.0123456789abcdef", **{field: value}) is None
