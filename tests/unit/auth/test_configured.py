"""Authenticators that settings bring in: static tokens, OpenID Connect, front proxies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from minikube.auth.base import Credentials, User
from minikube.auth.certificates import CertificateAuthenticator
from minikube.auth.configured import configured_tokens
from minikube.auth.front_proxy import FrontProxy
from minikube.auth.oidc import Issuer, OidcAuthenticator, issuer_of
from minikube.auth.static_tokens import StaticTokens, read_static_tokens
from minikube.auth.union import UnionAuthenticator
from minikube.client.documents import DocumentError
from minikube.errors import Unauthorized
from minikube.kit.clock import SYSTEM
from minikube.pki.certificates import Pair, ensure_ca, ensure_leaf
from minikube.pki.signing_keys import jwks, verification_key
from minikube.settings import Settings, SettingsError
from tests.fakes.cluster import HandClock

URL = "https://login.example.org"


def test_static_tokens_are_read_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('# comment\nsecret,bob,7,"a,b"\nother,eve,8\n')
    tokens = StaticTokens(read_static_tokens(path), audience="api")
    found = asyncio.run(tokens.authenticate(Credentials(bearer="secret")))
    assert found == User("bob", "7", ("a", "b", "system:authenticated"))
    assert asyncio.run(tokens.authenticate(Credentials(bearer="nonsense"))) is None
    assert asyncio.run(tokens.authenticate(Credentials(bearer="secret", audiences=("vault",)))) is None
    path.write_text("only,two\n")
    with pytest.raises(SettingsError, match="line 1"):
        read_static_tokens(path)


class Published:
    """An issuer's web site."""

    def __init__(self) -> None:
        self.asked = 0
        self.rotate()

    def rotate(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.public = verification_key(self.key.public_key())

    async def fetch(self, url: str) -> Mapping[str, Any]:
        self.asked += 1
        if url == f"{URL}/.well-known/openid-configuration":
            return {"issuer": URL, "jwks_uri": f"{URL}/keys"}
        if url == f"{URL}/keys":
            return jwks([self.public])
        raise DocumentError(f"{url} answers 404")

    def token(self, **claims: Any) -> str:
        said = {"iss": URL, "aud": "kubernetes", "exp": int(time.time()) + 60, "sub": "42", **claims}
        return jwt.encode(said, self.key, "RS256", headers={"kid": self.public.id})


def oidc(site: Published, clock: HandClock | None = None, **settings: Any) -> OidcAuthenticator:
    issuer = issuer_of(Settings(oidc_issuer_url=URL, oidc_client_id="kubernetes", **settings))
    return OidcAuthenticator(issuer, site, clock or HandClock())


def user(authenticator: OidcAuthenticator, token: str) -> User | None:
    return asyncio.run(authenticator.authenticate(Credentials(bearer=token)))


def test_claims_become_a_user() -> None:
    site = Published()
    assert user(oidc(site), site.token()) == User(f"{URL}#42", groups=("system:authenticated",))
    groups = oidc(site, oidc_groups_claim="roles", oidc_groups_prefix="oidc:", oidc_username_prefix="-")
    found = user(groups, site.token(roles=["dev", "ops"]))
    assert found == User("42", groups=("oidc:dev", "oidc:ops", "system:authenticated"))
    by_mail = oidc(site, oidc_username_claim="email")
    assert user(by_mail, site.token(email="a@b.c", email_verified=True)) == User(
        "a@b.c", groups=("system:authenticated",)
    )


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "others"}, "Audience doesn't match"),
        ({"exp": 1}, "Signature has expired"),
        ({"email": None}, 'parse username claims "email": claim not present'),
        ({"email": "a@b.c", "email_verified": False}, "email not verified"),
    ],
)
def test_tokens_that_are_not_good_are_refused(claims: dict[str, Any], why: str) -> None:
    site = Published()
    with pytest.raises(Unauthorized) as caught:
        user(oidc(site, oidc_username_claim="email"), site.token(**{"email": "a@b.c", **claims}))
    assert why in caught.value.message


@pytest.mark.parametrize(
    "claims",
    [{"iat": int(time.time()) + 40}, {"nbf": int(time.time()) + 60}, {"roles": None}],
    ids=["iat", "nbf", "roles"],
)
def test_clocks_that_differ_a_little_are_no_matter(claims: dict[str, Any]) -> None:
    site = Published()
    assert user(oidc(site, oidc_groups_claim="roles"), site.token(**claims))


@pytest.mark.parametrize(
    "claims",
    [{"nbf": int(time.time()) + 3600}, {"nbf": "soon"}, {"roles": 5}, {"sub": 5}],
    ids=["nbf ahead", "nbf", "roles", "sub"],
)
def test_claims_that_nobody_can_read_are_refused(claims: dict[str, Any]) -> None:
    site = Published()
    with pytest.raises(Unauthorized, match="oidc: "):
        user(oidc(site, oidc_groups_claim="roles"), site.token(**claims))


def test_a_token_that_names_no_key_may_be_signed_with_any() -> None:
    site = Published()
    said = {"iss": URL, "aud": "kubernetes", "exp": int(time.time()) + 60, "sub": "42"}
    assert user(oidc(site), jwt.encode(said, site.key, "RS256"))
    with pytest.raises(Unauthorized, match="Signature verification failed"):
        user(oidc(site), jwt.encode(said, Published().key, "RS256"))


def test_tokens_of_other_issuers_are_not_ours_and_forged_ones_refused() -> None:
    site, forger = Published(), Published()
    assert user(oidc(site), site.token(iss="https://other.example.org")) is None
    with pytest.raises(Unauthorized, match="the issuer has no key"):
        user(oidc(site), forger.token())
    unsigned = jwt.encode({"iss": URL, "sub": "42"}, None, "none", headers={"kid": site.public.id})
    with pytest.raises(Unauthorized, match="alg value is not allowed"):
        user(oidc(site), unsigned)


def test_keys_are_kept_and_asked_for_again_when_the_issuer_has_new_ones() -> None:
    async def scene() -> None:
        site, clock = Published(), HandClock()
        authenticator = oidc(site, clock)
        for _ in range(3):
            assert await authenticator.authenticate(Credentials(bearer=site.token()))
        assert site.asked == 2
        site.rotate()
        with pytest.raises(Unauthorized):
            await authenticator.authenticate(Credentials(bearer=site.token()))
        clock.at += timedelta(seconds=11)
        assert await authenticator.authenticate(Credentials(bearer=site.token()))

    asyncio.run(scene())


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(SettingsError, match="oidc-client-id"):
        configured_tokens(Settings(oidc_issuer_url=URL), "api", SYSTEM)
    assert issuer_of(Settings(oidc_issuer_url=URL, oidc_client_id="c")) == Issuer(
        url=URL, client_id="c", username_prefix=f"{URL}#"
    )


def der(pair: Pair) -> bytes:
    return x509.load_pem_x509_certificate(pair.pem).public_bytes(serialization.Encoding.DER)


def test_only_a_front_proxy_speaks_for_others(tmp_path: Path) -> None:
    proxies, clients = ensure_ca(tmp_path, "request-header-ca"), ensure_ca(tmp_path, "client-ca")

    def leaf(name: str, ca: Pair) -> bytes:
        pair = Pair(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        return der(ensure_leaf(pair, ca, common_name=name, client=True))

    union = UnionAuthenticator(
        (FrontProxy(proxies.certificate, ["proxy"]), CertificateAuthenticator([clients.certificate]))
    )

    def ask(certificate: bytes) -> User | None:
        remote = User("bob", groups=("team",))
        return asyncio.run(union.authenticate(Credentials(certificate=certificate, remote=remote)))

    assert ask(leaf("proxy", proxies)) == User("bob", groups=("team", "system:authenticated"))
    mallory = ask(leaf("mallory", clients))
    assert mallory is not None
    assert mallory.name == "mallory"
    with pytest.raises(Unauthorized):
        ask(leaf("stranger", proxies))
    assert ask(b"") is None
