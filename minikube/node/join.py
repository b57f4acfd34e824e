"""How a machine becomes a node: it recognizes the server by its CA's hash, then asks for its own certificates.

Nothing secret is sent before the hash of the join token matches. What it gets is kept on disk; with a certificate
that is still good nothing is asked at all.
"""

from __future__ import annotations

import base64
import itertools
import logging
import ssl
from collections.abc import Sequence
from pathlib import Path

import yaml

from minikube.api.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestSpec
from minikube.api.core_v1 import ConfigMap
from minikube.api.meta import ObjectMeta
from minikube.auth.join_roles import CLUSTER_INFO, INFO_NAMESPACE
from minikube.client.base import Client
from minikube.client.http import HttpClient
from minikube.errors import Forbidden, NotFound, ServiceUnavailable, Unauthorized
from minikube.kit.clock import Clock
from minikube.kit.files import write_private
from minikube.pki.certificates import Pair, ensure_key, load
from minikube.pki.join_token import JoinToken, ca_hashes, parse_join_token
from minikube.pki.node import GROUP, PREFIX, NodePki
from minikube.pki.requests import make_request
from minikube.settings import SettingsError

log = logging.getLogger(__name__)

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
LOOK_EVERY, PATIENCE = 0.1, 50


class Refused(Exception):
    """A request for a certificate was denied or failed; the message is the server's."""


async def join(server: str, token: str, pki: NodePki, name: str, clock: Clock, *, anew: bool = False) -> None:
    """Get a client certificate, unless there is one and it is not to be got anew. Waits for a server that cannot be
    reached.

    Raises SettingsError when this token, server or name will never do.
    """
    if not anew and pki.server_ca.exists() and await _has_joined(pki.client, clock):
        return
    if not token:
        raise SettingsError(
            "this machine has not joined yet (or its certificate has ended): --token is needed; "
            "the server keeps one in /var/lib/minikube/server/node-token"
        )
    wanted = token_of(token)
    pause = FIRST_PAUSE
    while True:
        try:
            await _join(server, wanted, pki, name, clock)
            return
        except ServiceUnavailable as error:
            log.warning("waiting for %s: %s", server, error.message)
        except Refused as error:
            raise SettingsError(f"{server} does not let this machine join as {name}: {error}") from error
        except (Unauthorized, Forbidden) as error:
            raise SettingsError(
                f"{server} does not accept the join token ({error.message}): it may have expired or been deleted; "
                "`minikube token create` on the server prints a new one"
            ) from error
        await clock.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


def token_of(text: str) -> JoinToken:
    """A token, or the path of a file that has it: what is on a command line, everybody on the machine can read.
    Raises SettingsError."""
    try:
        return parse_join_token(Path(text).read_text() if text.startswith("/") else text)
    except (ValueError, OSError) as error:
        raise SettingsError(f"{text}: {error}" if text.startswith("/") else str(error)) from error


async def _has_joined(pair: Pair, clock: Clock) -> bool:
    """Whether there is a certificate that is good; waits for a clock that is behind it."""
    certificate = load(pair)
    if certificate is None:
        return False
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    told = False
    while (now := clock.now()) < since:
        if not told:
            log.error(
                "the clock of this machine says %s, but its certificate was made after %s: waiting for the clock "
                "to be set", now, since,
            )  # fmt: skip
            told = True
        await clock.sleep(1)
    if now >= until:
        log.error(
            "this machine's certificate ended at %s and the clock says %s; if the clock is right, it joins again "
            "with its token", until, now,
        )  # fmt: skip
    return now < until


async def _join(server: str, token: JoinToken, pki: NodePki, name: str, clock: Clock) -> None:
    ca = recognized(await fetch_cas(server), token.ca_hash, server)
    write_private(pki.server_ca, ca, 0o644)

    async def bearer() -> str:
        return str(token.bootstrap)

    context = ssl.create_default_context(cadata=ca.decode())
    async with HttpClient(server, context, bearer, user_agent="kubelet") as client:
        log.info("the server at %s is the one that the token names; asking for a certificate", server)
        pem = make_request(ensure_key(pki.client.key), common_name=PREFIX + name, groups=[GROUP])
        issued = await obtain(client, pem, CLIENT_SIGNER, ("digital signature", "client auth"), clock)
        write_private(pki.client.certificate, issued, 0o644)
    log.info("joined as node %s", name)


async def fetch_cas(server: str) -> bytes:
    """The CAs that a server we know nothing of says are its own, from kube-public/cluster-info."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    async with HttpClient(server, unverified, user_agent="kubelet") as client:
        try:
            found = await client.get(ConfigMap, CLUSTER_INFO, INFO_NAMESPACE)
        except (NotFound, Forbidden, Unauthorized) as error:
            raise ServiceUnavailable(f"it publishes no cluster-info yet ({error.message})") from error
    try:
        return cas_in(found)
    except ValueError as error:
        raise SettingsError(f"{server} is no minikube server: its {error}") from error


def cas_in(info: ConfigMap) -> bytes:
    """The PEM bundle of a cluster-info; empty while it is being written anew. Raises ValueError."""
    if "kubeconfig" not in info.data:
        return b""
    try:
        clusters = yaml.safe_load(info.data["kubeconfig"])["clusters"]
        return base64.b64decode(clusters[0]["cluster"]["certificate-authority-data"])
    except (KeyError, IndexError, TypeError, yaml.YAMLError) as error:
        raise ValueError("cluster-info cannot be read") from error


def recognized(bundle: bytes, wanted: str, server: str) -> bytes:
    """The CA that the token names, as PEM. Raises SettingsError: this is another server."""
    found = ca_hashes(bundle)
    if wanted not in found:
        raise SettingsError(
            f"{server} is not the server that made this join token: its CA has the hash {', '.join(found)}, "
            f"the token names {wanted}; nothing secret was sent"
        )
    return found[wanted]


async def obtain(client: Client, pem: bytes, signer: str, usages: Sequence[str], clock: Clock) -> bytes:
    """Ask, wait for the decision, answer the certificate. Raises Refused and ApiError."""
    asked = await client.create(
        CertificateSigningRequest(
            metadata=ObjectMeta(generate_name="csr-"),
            spec=CertificateSigningRequestSpec(
                request=base64.b64encode(pem).decode(), signer_name=signer, usages=tuple(usages)
            ),
        )
    )
    name = asked.metadata.name
    for attempt in itertools.count():
        for condition in asked.status.conditions:
            if condition.type in ("Denied", "Failed") and condition.status == "True":
                raise Refused(f"{condition.message} ({condition.reason})")
        if asked.status.certificate:
            return base64.b64decode(asked.status.certificate)
        if attempt == PATIENCE:
            log.warning("certificate request %s waits: kubectl certificate approve %s", name, name)
        await clock.sleep(LOOK_EVERY if attempt < PATIENCE else 10 * LOOK_EVERY)
        asked = await client.get(CertificateSigningRequest, name)
    raise AssertionError("unreachable")
