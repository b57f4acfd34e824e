"""A change of the CA: who is trusted when, also after a crash between its steps."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from minikube.pki.certificates import Pair, due, ensure_ca, ensure_key, ensure_leaf, load
from minikube.pki.rotation import CAS, begin, clock_problem, cross_certificate, finish, finish_interrupted
from minikube.pki.server import ensure_server_pki
from minikube.settings import Settings
from minikube.transport.certificates import LiveContext

NOW = datetime.now(UTC)


def leaf(directory: Path) -> Pair:
    """As the server issues its own."""
    ca = ensure_ca(directory, "ca")
    pair = Pair(directory / "leaf.crt", directory / "leaf.key")
    chain = cross_certificate(directory, "ca")
    return ensure_leaf(pair, ca, common_name="leaf", names=["localhost"], server=True, chain=chain)


def shakes_hands(serving: ssl.SSLContext, ca: bytes) -> bool:
    """Whether a client that trusts these CAs accepts the server."""
    return accepted(serving, strict(ssl.create_default_context(cadata=ca.decode())))


def believes(ca: bytes, proxy: Pair, tmp_path: Path) -> bool:
    """Whether an extension API server that trusts these CAs of front proxies accepts us as one."""
    pair, ca_of_api = Pair(tmp_path / "api.crt", tmp_path / "api.key"), ensure_ca(tmp_path, "api-ca")
    own = ensure_leaf(pair, ca_of_api, common_name="api", server=True, names=["localhost"])
    serving = strict(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=ca.decode()))
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_cert_chain(own.certificate, own.key)
    client = ssl.create_default_context(cafile=tmp_path / "api-ca.crt")
    client.load_cert_chain(proxy.certificate, proxy.key)
    return accepted(serving, client)


def strict(context: ssl.SSLContext) -> ssl.SSLContext:
    """As Python 3.13 checks by default, on every Python."""
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def accepted(serving: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    theirs = serving.wrap_bio(to_server, to_client, server_side=True)
    done = [False, False]
    for _ in range(10):
        for index, side in enumerate((ours, theirs)):
            try:
                side.do_handshake()
                done[index] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return all(done)


def test_during_the_change_clients_of_either_ca_accept_the_server(tmp_path: Path) -> None:
    pair = leaf(tmp_path)
    old = ensure_ca(tmp_path, "ca").pem
    live = LiveContext(pair.certificate, pair.key)
    begin(tmp_path, "ca", NOW)
    both = ensure_ca(tmp_path, "ca").pem
    new = both[: both.index(b"-----END") + 26]
    leaf(tmp_path)
    assert (shakes_hands(live.context, old), shakes_hands(live.context, new)) == (True, False)
    live.reload()
    assert [shakes_hands(live.context, trusted) for trusted in (old, new, both)] == [True, True, True]
    assert finish(tmp_path, "ca")
    leaf(tmp_path)
    live.reload()
    assert [shakes_hands(live.context, trusted) for trusted in (old, new)] == [False, True]


def test_during_the_change_extension_servers_of_either_ca_believe_the_proxy(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    pki = ensure_server_pki(settings, ["10.0.0.1"])
    old = pki.proxy_ca.pem
    for name in CAS:
        begin(settings.tls_dir, name, NOW)
    both = ensure_server_pki(settings, ["10.0.0.1"]).proxy_ca.pem
    new = both[: both.index(b"-----END") + 26]
    assert [believes(each, pki.proxy_client, tmp_path) for each in (old, new, both)] == [True, True, True]
    for name in CAS:
        assert finish(settings.tls_dir, name)
    ensure_server_pki(settings, ["10.0.0.1"])
    assert [believes(each, pki.proxy_client, tmp_path) for each in (old, new)] == [False, True]


def test_a_leaf_of_the_old_ca_is_due_at_once(tmp_path: Path) -> None:
    pair = leaf(tmp_path)
    assert not due(pair, ensure_ca(tmp_path, "ca").pem, ["localhost"], NOW)
    begin(tmp_path, "ca", NOW)
    assert due(pair, ensure_ca(tmp_path, "ca").pem, ["localhost"], NOW)


def test_one_change_at_a_time(tmp_path: Path) -> None:
    ensure_ca(tmp_path, "ca")
    begin(tmp_path, "ca", NOW)
    with pytest.raises(ValueError, match="changing already"):
        begin(tmp_path, "ca", NOW)


def test_a_crash_after_the_certificate_and_before_its_key_is_mended(tmp_path: Path) -> None:
    ca = ensure_ca(tmp_path, "ca")
    old_key = ca.key.read_bytes()
    begin(tmp_path, "ca", NOW)
    ca.key.rename(tmp_path / "ca.key.next")
    ca.key.write_bytes(old_key)
    finish_interrupted(tmp_path, "ca")
    certificate = load(ca)
    assert certificate is not None
    assert certificate.public_key() == ensure_key(ca.key).public_key()


def test_a_crash_before_the_certificate_leaves_the_old_ca(tmp_path: Path) -> None:
    ca = ensure_ca(tmp_path, "ca")
    before = ca.pem
    ensure_key(tmp_path / "ca.key.next")
    finish_interrupted(tmp_path, "ca")
    assert ca.pem == before
    assert not (tmp_path / "ca.key.next").exists()


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (NOW, ""),
        (datetime(1970, 1, 1, tzinfo=UTC), "no certificate is valid yet"),
        (NOW + timedelta(days=36500), "no certificate is valid any more"),
        (NOW - timedelta(minutes=10), "data of this cluster was written at"),
    ],
)
def test_a_clock_that_cannot_be_right_is_explained(tmp_path: Path, at: datetime, words: str) -> None:
    problem = clock_problem(at, ensure_ca(tmp_path, "ca").pem, NOW - timedelta(minutes=5))
    assert words in problem
    assert bool(problem) is bool(words)
