"""Client certificates: good while they and their CA are, and only those of the CA for clients."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from minikube.auth.base import AUTHENTICATED, Credentials
from minikube.auth.certificates import LOOK_EVERY, CertificateAuthenticator
from minikube.errors import Unauthorized
from tests.fakes.cluster import HandClock

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
ALWAYS = (NOW - HOUR, NOW + HOUR)
PAST, FUTURE = (NOW - 2 * HOUR, NOW - HOUR), (NOW + HOUR, NOW + 2 * HOUR)
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())


def named(text: str) -> x509.Name:
    """Several common names if there are commas."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in text.split(",") if one])


def builder_of(subject: str, span: tuple[datetime, datetime]) -> x509.CertificateBuilder:
    """Of one that a CA called `ca` issues."""
    builder = x509.CertificateBuilder(named("ca"), named(subject), KEY.public_key(), x509.random_serial_number())
    return builder.not_valid_before(span[0]).not_valid_after(span[1])


def certificate(
    subject: str, span: tuple[datetime, datetime], key: ec.EllipticCurvePrivateKey = KEY
) -> x509.Certificate:
    """Issued by a CA that is called `ca` and has this key."""
    return builder_of(subject, span).sign(key, hashes.SHA256())


def user_of(directory: Path, leaf: x509.Certificate, ca: x509.Certificate) -> str:
    bundle = directory / "ca.crt"
    bundle.write_bytes(ca.public_bytes(Encoding.PEM))
    asked = CertificateAuthenticator([bundle]).authenticate(Credentials(leaf.public_bytes(Encoding.DER)))
    user = asyncio.run(asked)
    assert user is not None
    assert user.groups == (AUTHENTICATED,)
    return user.name


@pytest.mark.parametrize("names", ["bob", "eve,bob"])
def test_the_last_common_name_is_the_user(tmp_path: Path, names: str) -> None:
    assert user_of(tmp_path, certificate(names, ALWAYS), certificate("ca", ALWAYS)) == "bob"


@pytest.mark.parametrize(
    ("leaf", "ca", "why"),
    [
        (certificate("bob", PAST), ALWAYS, "expired or is not yet valid"),
        (certificate("bob", FUTURE), ALWAYS, "expired or is not yet valid"),
        (certificate("bob", ALWAYS), PAST, "expired or is not yet valid"),
        (certificate("bob", ALWAYS, OTHER), ALWAYS, "signed by unknown authority"),
        (certificate("", ALWAYS), ALWAYS, "signed by unknown authority"),
    ],
    ids=["ended", "not yet", "its CA has ended", "another key of the same name", "nobody's"],
)
def test_what_is_not_good_is_nobody(
    tmp_path: Path, leaf: x509.Certificate, ca: tuple[datetime, datetime], why: str
) -> None:
    with pytest.raises(Unauthorized, match=why):
        user_of(tmp_path, leaf, certificate("ca", ca))


def altered(old: bytes, new: bytes) -> bytes:
    """A certificate with two extensions of our own, with these bytes replaced."""
    leaf = builder_of("bob", ALWAYS)
    for number in ("2.5.29.100", "2.5.29.101"):
        leaf = leaf.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(number), b"\x05\x00"), False)
    der = leaf.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    assert old in der
    return der.replace(old, new)


@pytest.mark.parametrize(
    "der",
    [
        b"0\x03\x02\x01\x01",
        altered(b"\x55\x1d\x65", b"\x55\x1d\x64"),
        altered(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"),
    ],
    ids=["no certificate", "an extension twice", "of a version that is none"],
)
def test_what_is_no_certificate_is_nobody(tmp_path: Path, der: bytes) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.write_bytes(certificate("ca", ALWAYS).public_bytes(Encoding.PEM))
    with pytest.raises(Unauthorized, match="malformed"):
        asyncio.run(CertificateAuthenticator([bundle]).authenticate(Credentials(der)))


async def test_a_ca_that_has_changed_is_known_a_second_later(tmp_path: Path) -> None:
    bundle, clock = tmp_path / "ca.crt", HandClock()
    bundle.write_bytes(certificate("ca", ALWAYS).public_bytes(Encoding.PEM))
    authenticator = CertificateAuthenticator([bundle], clock)
    leaf = Credentials(certificate("bob", ALWAYS).public_bytes(Encoding.DER))
    assert await authenticator.authenticate(leaf)
    bundle.write_bytes(certificate("ca", PAST).public_bytes(Encoding.PEM))
    os.utime(bundle, (1, 1))
    assert await authenticator.authenticate(leaf)
    await clock.sleep(LOOK_EVERY)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(leaf)


async def test_a_ca_that_cannot_be_read_holds_as_it_was(tmp_path: Path) -> None:
    bundle, clock = tmp_path / "ca.crt", HandClock()
    bundle.write_bytes(certificate("ca", ALWAYS).public_bytes(Encoding.PEM))
    authenticator = CertificateAuthenticator([bundle], clock)
    leaf = Credentials(certificate("bob", ALWAYS).public_bytes(Encoding.DER))
    assert await authenticator.authenticate(leaf)
    bundle.write_text("half")
    os.utime(bundle, (1, 1))
    await clock.sleep(LOOK_EVERY)
    assert await authenticator.authenticate(leaf)
    bundle.unlink()
    await clock.sleep(LOOK_EVERY)
    assert await authenticator.authenticate(leaf)
