"""network/api-proxy: pods and services through the API, by every method, to ports by name and number, with TLS."""

from __future__ import annotations

import base64
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, agnhost
from tests.conformance.traffic import endpoints, service

pytestmark = pytest.mark.conformance

LABELS = {"proxy-service-target": "true"}


def certificate() -> Obj:
    """A kubernetes.io/tls Secret with a certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "porter")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    kind = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    parts = {"tls.crt": signed.public_bytes(serialization.Encoding.PEM), "tls.key": pem}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tls"},
        "type": "kubernetes.io/tls",
        "data": {file: base64.b64encode(text).decode() for file, text in parts.items()},
    }


def port(name: str, number: int, target: int | str) -> Obj:
    return {"name": name, "port": number, "targetPort": target}


PORTS = [
    port("portname1", 80, "dest1"),
    port("portname2", 81, 162),
    port("tlsportname1", 443, "tlsdest1"),
    port("tlsportname2", 444, 462),
]
NAMED = {"dest1": 160, "dest2": 162, "tlsdest1": 460, "tlsdest2": 462}
SAYS = {
    "SERVE_PORT_80": '<a href="/rewriteme">test</a>',
    "SERVE_PORT_1080": '<a href="/rewriteme">test</a>',
    "SERVE_PORT_160": "foo",
    "SERVE_PORT_162": "bar",
    "SERVE_TLS_PORT_443": '<a href="/tlsrewriteme">test</a>',
    "SERVE_TLS_PORT_460": "tls baz",
    "SERVE_TLS_PORT_462": "tls qux",
}


def porter(name: str, says: dict[str, str], *arguments: str, **fields: Any) -> Obj:
    made = agnhost(
        name, "porter", *arguments, labels=LABELS, volumes=[{"name": "tls", "secret": {"secretName": "tls"}}]
    )
    made["spec"]["containers"][0] |= {
        "env": [{"name": name, "value": value} for name, value in says.items()],
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
        "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1},
        **fields,
    }
    return made


@row("Proxy version v1 should proxy through a service and a pod")
def test_every_port_by_name_and_number_with_and_without_tls(space: Space):
    space.create(certificate())
    space.create(service("web", LABELS, *PORTS))
    ports = [{"containerPort": 80}, *({"name": name, "containerPort": number} for name, number in NAMED.items())]
    space.run(porter("porter", SAYS, ports=ports))
    space.wait(lambda: endpoints(space, "web"))

    def url(kind: str, name: str) -> str:
        return space.path(kind, name, "proxy")

    expected = {
        url("v1/Service", "web:portname1"): "foo",
        url("v1/Service", "http:web:portname1"): "foo",
        url("v1/Service", "web:portname2"): "bar",
        url("v1/Service", "http:web:portname2"): "bar",
        url("v1/Service", "web:80"): "foo",
        url("v1/Service", "https:web:tlsportname1"): "tls baz",
        url("v1/Service", "https:web:tlsportname2"): "tls qux",
        url("v1/Pod", "porter:160"): "foo",
        url("v1/Pod", "http:porter:160"): "foo",
        url("v1/Pod", "porter:162"): "bar",
        url("v1/Pod", "http:porter:162"): "bar",
        url("v1/Pod", "https:porter:460"): "tls baz",
        url("v1/Pod", "https:porter:462"): "tls qux",
    }
    for name, rewritten in itertools.product(("porter", "porter:1080", "http:porter:1080"), ("rewriteme",)):
        expected[url("v1/Pod", name)] = f'<a href="{url("v1/Pod", name)}/{rewritten}">test</a>'
    secure = url("v1/Pod", "https:porter:443")
    expected[secure] = f'<a href="{secure}/tlsrewriteme">test</a>'

    def asked(path: str) -> str:
        return str(space.http.get(f"{path}/").ok().decode())

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(asked, [path for path in expected for _ in range(5)]))
    assert found == [text for text in expected.values() for _ in range(5)]


@row(
    "Proxy version v1 A set of valid responses are returned for both pod and service ProxyWithPath",
    "Proxy version v1 A set of valid responses are returned for both pod and service Proxy",
)
def test_every_method_reaches_pods_and_services(space: Space):
    space.create(certificate())
    space.run(porter("agnhost", {"SERVE_PORT_80": "foo"}, "--json-response"))
    space.create(service("web", LABELS, {"port": 80, "targetPort": 80, "protocol": "TCP"}))
    space.wait(lambda: endpoints(space, "web"))
    for kind, name in (("v1/Pod", "agnhost"), ("v1/Service", "web")):
        path = space.path(kind, name, "proxy")
        for method in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"):
            answer = space.http.ask(method, f"{path}/some/path/with/{method}")
            assert answer.code == 200, (kind, method)
            if method != "HEAD":
                assert json.loads(answer.body) == {"Method": method, "Body": "foo"}
        for method in ("DELETE", "OPTIONS", "PATCH", "POST", "PUT"):
            answer = space.http.ask(method, f"{path}?method={method}")
            assert json.loads(answer.ok() if isinstance(answer.ok(), bytes) else answer.body)["Method"] == method
        for method in ("GET", "HEAD"):
            answer = space.http._pool.request(
                method, f"{space.http.server}{path}?method={method}", redirect=False, retries=False
            )
            assert answer.status == 301, (kind, method)
            assert answer.headers["Location"].endswith(f"{path}/?method={method}")
