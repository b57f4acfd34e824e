"""What headers say of credentials and of other identities, also when they say it badly."""

from __future__ import annotations

import base64

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from minikube.apiserver.headers import bearer_of, impersonation_of, remote_of
from minikube.auth.base import User
from minikube.auth.impersonation import Impersonation

PROTOCOL = "base64url.bearer.authorization.k8s.io."


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize(
    ("name", "value", "token"),
    [
        ("Authorization", "Bearer abc", "abc"),
        ("Authorization", "bearer  abc ", "abc"),
        ("Authorization", "Basic abc", ""),
        ("Authorization", "Bearer", ""),
        ("Authorization", "Bearer a\udcff", "a�"),
        ("Sec-WebSocket-Protocol", f"v5.channel.k8s.io, {PROTOCOL}YS1i", "a-b"),
        ("Sec-WebSocket-Protocol", f"{PROTOCOL}!!!!", "undecodable"),
        ("Sec-WebSocket-Protocol", PROTOCOL + base64.urlsafe_b64encode(b"\xff").decode(), "undecodable"),
        ("Sec-WebSocket-Protocol", "v5.channel.k8s.io", ""),
    ],
)
def test_where_a_token_is_found(name: str, value: str, token: str) -> None:
    assert bearer_of(headers((name, value))) == token


def test_other_identities_are_read_whole_and_can_be_written_down() -> None:
    asked = impersonation_of(
        headers(
            ("Impersonate-User", "bj\udcf6rn"),
            ("Impersonate-Group", "a"),
            ("Impersonate-Group", "b"),
            ("Impersonate-Extra-Acme.com%2fProject", "x"),
            ("impersonate-extra-acme.com%2Fproject", "y"),
        )
    )
    assert asked == Impersonation("bj�rn", "", ("a", "b"), {"acme.com/project": ("x", "y")})
    assert not impersonation_of(headers(("User-Agent", "kubectl")))
    remote = remote_of(headers(("X-Remote-User", "björn"), ("X-Remote-Group", "a"), ("X-Remote-Uid", "7")))
    assert remote == User("björn", "7", ("a",))
    assert remote_of(headers(("X-Remote-Group", "system:masters"))) is None
