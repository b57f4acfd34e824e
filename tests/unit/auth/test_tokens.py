"""Service account tokens: signed, bound, believed and refused."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from minikube.api.authentication_v1 import BoundObjectReference, TokenRequest, TokenRequestSpec
from minikube.api.core_v1 import Container, Node, Pod, PodSpec, Secret, ServiceAccount
from minikube.api.meta import Key, ObjectMeta
from minikube.auth.base import Credentials, Remarks, User
from minikube.auth.legacy_tokens import INVALID_SINCE, LAST_USED, LegacyTokens, sign_legacy
from minikube.auth.token_requests import TokenRequests
from minikube.auth.tokens import ServiceAccountTokens
from minikube.controllers.token_secrets import ACCOUNT, TYPE, TokenSecretController
from minikube.errors import ApiError, BadRequest, Conflict, Invalid, NotFound, Unauthorized
from minikube.kit.files import write_private
from minikube.pki.signing_keys import SigningKeys, forget, jwks, rotate
from minikube.settings import Settings
from tests.fakes.cluster import Cluster

ISSUER = "https://kubernetes.default.svc.cluster.local"


class Scene:
    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster = cluster
        self.path = directory / "service-account.key"
        self.keys = SigningKeys(self.path)
        self.tokens = ServiceAccountTokens(self.keys, cluster.informers, cluster.clock, issuer=ISSUER)
        self.requests = TokenRequests(self.tokens, cluster.informers, cluster.clock)

    async def populate(self) -> None:
        client = self.cluster.client
        self.account = await client.create(ServiceAccount(metadata=ObjectMeta(name="robot", namespace="default")))
        self.node = await client.create(Node(metadata=ObjectMeta(name="n1")))
        spec = PodSpec(containers=(Container(name="c", image="x"),), service_account_name="robot", node_name="n1")
        self.pod = await client.create(Pod(metadata=ObjectMeta(name="p", namespace="default"), spec=spec))

    def token(self, kind: str = "", name: str = "", uid: str = "", **spec: Any) -> str:
        about = BoundObjectReference(api_version="v1", kind=kind, name=name, uid=uid) if kind else None
        request = TokenRequest(spec=TokenRequestSpec(bound_object_ref=about, **spec))
        return self.requests.issue("default", "robot", request).status.token

    async def user(self, token: str, *audiences: str) -> User | None:
        return await self.tokens.authenticate(Credentials(bearer=token, audiences=audiences))

    async def remarks(self, token: str) -> Remarks:
        credentials = Credentials(bearer=token)
        assert await self.tokens.authenticate(credentials)
        return credentials.remarks

    async def refused(self, token: str, *audiences: str) -> str:
        with pytest.raises(Unauthorized) as caught:
            await self.user(token, *audiences)
        return caught.value.message


def play(directory: Path, scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        made = Scene(await Cluster.open(), directory)
        await made.populate()
        await scene(made)

    asyncio.run(run())


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def test_a_token_bound_to_a_pod_tells_pod_node_and_itself(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        token = made.token("Pod", "p", made.pod.metadata.uid)
        user = await made.user(token)
        assert user is not None
        assert user.name == "system:serviceaccount:default:robot"
        assert user.uid == made.account.metadata.uid
        assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
        assert user.extra == {
            "authentication.kubernetes.io/credential-id": (f"JTI={claims(token)['jti']}",),
            "authentication.kubernetes.io/pod-name": ("p",),
            "authentication.kubernetes.io/pod-uid": (made.pod.metadata.uid,),
            "authentication.kubernetes.io/node-name": ("n1",),
            "authentication.kubernetes.io/node-uid": (made.node.metadata.uid,),
        }

    play(tmp_path, scene)


def test_a_token_dies_with_what_it_is_bound_to(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        client = made.cluster.client
        await client.create(Secret(metadata=ObjectMeta(name="s", namespace="default")))
        by_pod, by_secret, by_node = (
            made.token(*about) for about in (("Pod", "p"), ("Secret", "s"), ("Node", "n1"))
        )
        plain = made.token()
        for token in (by_pod, by_secret, by_node, plain):
            assert await made.user(token)
        await client.delete(Pod, "p", "default", grace_period_seconds=0)
        await client.delete(Secret, "s", "default")
        await client.delete(Node, "n1")
        for token in (by_pod, by_secret, by_node):
            assert await made.refused(token) == "service account token has been invalidated"
        assert await made.user(plain)
        await client.delete(ServiceAccount, "robot", "default")
        await client.create(ServiceAccount(metadata=ObjectMeta(name="robot", namespace="default")))
        assert await made.refused(plain) == "service account token has been invalidated"

    play(tmp_path, scene)


def test_a_pod_on_its_way_out_keeps_its_token_for_a_minute(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        token = made.token("Pod", "p")
        await made.cluster.client.delete(Pod, "p", "default", grace_period_seconds=30)
        assert await made.user(token)
        made.cluster.clock.at += timedelta(seconds=180)
        assert await made.refused(token) == "service account token has been invalidated"

    play(tmp_path, scene)


def test_audiences_and_time_bound_a_token(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        token = made.token(audiences=("vault",), expiration_seconds=600)
        assert await made.user(token, "vault")
        assert 'token audiences ["vault"] is invalid' in await made.refused(token)
        made.cluster.clock.at += timedelta(seconds=600)
        assert await made.refused(token, "vault") == "service account token has expired"

    play(tmp_path, scene)


def test_the_mounted_token_works_for_a_year_and_says_when_it_should_not(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        token = made.token("Pod", "p", expiration_seconds=3607)
        said = claims(token)
        assert said["exp"] - said["iat"] == 365 * 86400
        assert said["kubernetes.io"]["warnafter"] == said["iat"] + 3607
        made.cluster.clock.at += timedelta(seconds=3607)
        assert await made.remarks(token) == Remarks()
        made.cluster.clock.at += timedelta(seconds=5)
        subject = "system:serviceaccount:default:robot"
        late = f"subject: {subject}, seconds after warning threshold: 5"
        assert (await made.remarks(token)).annotations == {"authentication.k8s.io/stale-token": late}

    play(tmp_path, scene)


def forged(made: Scene, how: str) -> str:
    said = claims(made.token())
    if how == "alg none":
        return jwt.encode(said, None, "none")
    if how == "another key":
        return jwt.encode(said, rsa.generate_private_key(65537, 2048), "RS256")
    if how == "public key as a secret":
        public = made.keys.verification[0].key
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return hmac_signed(said, pem)
    head, _, signature = made.token().split(".")
    more = base64.urlsafe_b64encode(json.dumps({**said, "sub": "system:admin"}).encode()).rstrip(b"=").decode()
    return f"{head}.{more}.{signature}"


def hmac_signed(said: dict[str, Any], secret: bytes) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    body = f"{part(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{part(json.dumps(said).encode())}"
    return f"{body}.{part(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize("how", ["alg none", "another key", "public key as a secret", "changed body"])
def test_forged_tokens_are_refused(tmp_path: Path, how: str) -> None:
    async def scene(made: Scene) -> None:
        assert await made.refused(forged(made, how)) == "no key of this cluster has signed this token"

    play(tmp_path, scene)


def test_tokens_of_others_are_left_to_others(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        assert await made.user("opaque") is None
        assert await made.user(jwt.encode({"iss": "https://example.org"}, "x" * 32, "HS256")) is None

    play(tmp_path, scene)


def test_live_tokens_survive_a_new_signing_key(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        old = made.token()
        identity = rotate(made.path)
        new = made.token()
        assert jwt.get_unverified_header(new)["kid"] == identity != jwt.get_unverified_header(old)["kid"]
        restarted = ServiceAccountTokens(
            SigningKeys(made.path), made.cluster.informers, made.cluster.clock, issuer=ISSUER
        )
        for token in (old, new):
            assert await restarted.authenticate(Credentials(bearer=token))
        keys = jwt.PyJWKSet.from_dict(jwks(made.keys.verification))
        forget(made.path)
        assert await made.refused(old) == "no key of this cluster has signed this token"
        assert await made.user(new)
        for token in (old, new):
            key = keys[jwt.get_unverified_header(token)["kid"]]
            assert jwt.decode(token, key, algorithms=["ES256"], audience=ISSUER)

    play(tmp_path, scene)


def test_an_rsa_key_signs_rs256(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        key = rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(made.path, pem)
        token = made.token()
        assert jwt.get_unverified_header(token)["alg"] == "RS256"
        assert await made.user(token)

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("about", "spec", "error", "why"),
    [
        (("Pod", "nix"), {}, NotFound, 'pods "nix" not found'),
        (("Pod", "p", "other"), {}, Conflict, "the UID in the bound object reference (other) does not match"),
        (("ConfigMap", "c"), {}, BadRequest, "cannot bind token to object of type /v1, Kind=ConfigMap"),
        ((), {"expiration_seconds": 30}, Invalid, "may not specify a duration less than 10 minutes"),
        ((), {"expiration_seconds": 2**33}, Invalid, "may not specify a duration larger than 2^32 seconds"),
    ],
)
def test_requests_that_are_refused(
    tmp_path: Path, about: tuple[str, ...], spec: dict[str, Any], error: type[ApiError], why: str
) -> None:
    async def scene(made: Scene) -> None:
        with pytest.raises(error) as caught:
            made.token(*about, **spec)
        assert why in caught.value.message

    play(tmp_path, scene)


def test_a_token_secret_is_filled_believed_and_goes_with_its_account(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        cluster = made.cluster
        settings = Settings(data_dir=tmp_path)
        write_private(settings.tls_dir / "server-ca.crt", b"a CA")
        context = cluster.context()
        controller = TokenSecretController(msgspec.structs.replace(context, settings=settings))
        keys = SigningKeys(settings.tls_dir / "service-account.key")
        legacy = LegacyTokens(keys, cluster.informers, cluster.client, cluster.clock, audience="x")
        meta = ObjectMeta(name="old", namespace="default", annotations={ACCOUNT: "robot"})
        await cluster.client.create(Secret(metadata=meta, type=TYPE))
        key = Key("default", "old")
        await cluster.settle(controller, key)
        secret = await cluster.client.get(Secret, "old", "default")
        data = {name: base64.b64decode(value).decode() for name, value in secret.data.items()}
        assert data["namespace"] == "default"
        assert data["ca.crt"] == "a CA"
        user = await legacy.authenticate(Credentials(bearer=data["token"]))
        assert user is not None
        assert user.name == "system:serviceaccount:default:robot"
        await cluster.client.delete(ServiceAccount, "robot", "default")
        await cluster.settle(controller, key)
        with pytest.raises(NotFound):
            await cluster.client.get(Secret, "old", "default")
        with pytest.raises(Unauthorized):
            await legacy.authenticate(Credentials(bearer=data["token"]))

    play(tmp_path, scene)


def test_each_day_of_a_token_secrets_use_is_noted(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        cluster, keys = made.cluster, made.keys
        legacy = LegacyTokens(keys, cluster.informers, cluster.client, cluster.clock, audience="x")
        token = sign_legacy(keys, made.account, "old")
        data = {"token": base64.b64encode(token.encode()).decode()}
        meta = ObjectMeta(name="old", namespace="default", annotations={ACCOUNT: "robot"})
        await cluster.client.create(Secret(metadata=meta, type=TYPE, data=data))

        async def use() -> tuple[Remarks, ObjectMeta]:
            credentials = Credentials(bearer=token)
            with contextlib.suppress(Unauthorized):
                await legacy.authenticate(credentials)
            return credentials.remarks, (await cluster.client.get(Secret, "old", "default")).metadata

        remarks, first = await use()
        assert remarks.annotations == {"authentication.k8s.io/legacy-token-manual-secret": "old"}
        assert first.labels[LAST_USED] == str(cluster.clock.at.date())
        assert (await use())[1].resource_version == first.resource_version
        cluster.clock.at += timedelta(days=2)
        assert (await use())[1].labels[LAST_USED] == str(cluster.clock.at.date())

        listed = {"secrets": [{"name": "old"}]}
        await cluster.client.patch(ServiceAccount, "robot", "default", patch=listed)
        remarks, _ = await use()
        assert remarks.annotations == {"authentication.k8s.io/legacy-token-autogenerated-secret": "old"}
        assert remarks.warnings == [
            "Use tokens from the TokenRequest API or manually created secret-based tokens instead of "
            "auto-generated secret-based tokens."
        ]
        invalid = {"metadata": {"labels": {INVALID_SINCE: "2026-01-01"}}}
        await cluster.client.patch(Secret, "old", "default", patch=invalid)
        remarks, _ = await use()
        assert remarks.annotations == {"authentication.k8s.io/legacy-token-invalidated": "old/default"}
        with pytest.raises(Unauthorized, match="has been marked invalid"):
            await legacy.authenticate(Credentials(bearer=token))

    play(tmp_path, scene)
