"""Join tokens: their form, and how a server is recognized by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from minikube.node.join import recognized, token_of
from minikube.pki.certificates import ensure_ca
from minikube.pki.join_token import JoinToken, ca_hash, new_bootstrap_token, parse_join_token
from minikube.settings import SettingsError


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    token = JoinToken(ca_hash(ensure_ca(tmp_path, "ca").pem), new_bootstrap_token())
    assert parse_join_token(f"{token}\n") == token


@pytest.mark.parametrize("text", ["", "secret", "abcdef.0123456789abcdef", "K10aa::abcdef.0123456789abcdef"])
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="not a join token") as error:
        parse_join_token(text)
    assert not text or text not in str(error.value)


def test_a_token_may_be_in_a_file(tmp_path: Path) -> None:
    token = JoinToken(ca_hash(ensure_ca(tmp_path, "ca").pem), new_bootstrap_token())
    (tmp_path / "token").write_text(f"{token}\n")
    assert token_of(str(tmp_path / "token")) == token_of(str(token)) == token
    with pytest.raises(SettingsError, match="No such file"):
        token_of(str(tmp_path / "missing"))


def test_of_several_cas_only_the_named_one_is_trusted(tmp_path: Path) -> None:
    old, new = ensure_ca(tmp_path / "old", "ca"), ensure_ca(tmp_path / "new", "ca")
    assert recognized(new.pem + old.pem, ca_hash(old.pem), "https://s") == old.pem


def test_a_server_with_another_ca_is_refused(tmp_path: Path) -> None:
    mine, other = ensure_ca(tmp_path / "a", "ca"), ensure_ca(tmp_path / "b", "ca")
    with pytest.raises(SettingsError, match="nothing secret was sent"):
        recognized(other.pem, ca_hash(mine.pem), "https://s")
