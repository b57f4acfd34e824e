"""A pod that serves HTTPS from `agnhost:test` behind a Service, with a certificate of a CA of its own."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from minikube.pki.certificates import Pair, ensure_ca, ensure_leaf
from tests.conformance.space import Obj, Space

PORT = 9444


class Served:
    """`bundle` is the CA as client configurations want it."""

    def __init__(self, space: Space, name: str, bundle: str) -> None:
        self.space, self.name, self.bundle = space, name, bundle

    def client_config(self, path: str, port: int = 443) -> Obj:
        service = {"namespace": self.space.name, "name": self.name, "path": path, "port": port}
        return {"caBundle": self.bundle, "service": service}


@contextmanager
def serving(space: Space, program: str, name: str = "e2e-test-webhook", port: int = 443) -> Iterator[Served]:
    """`python3 /<program>.py CERTIFICATE KEY PORT` in a deployment that is ready when the block begins."""
    with TemporaryDirectory() as made:
        ca = ensure_ca(Path(made), "ca")
        pair = Pair(Path(made) / "tls.crt", Path(made) / "tls.key")
        leaf = ensure_leaf(pair, ca, common_name=name, names=[f"{name}.{space.name}.svc"], server=True)
        files = {"tls.crt": leaf.certificate.read_bytes(), "tls.key": leaf.key.read_bytes()}
        bundle = base64.b64encode(ca.pem).decode()
    data = {key: base64.b64encode(value).decode() for key, value in files.items()}
    space.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
    space.create(_deployment(name, program))
    ports = [{"protocol": "TCP", "port": port, "targetPort": PORT}]
    spec = {"selector": {"app": name}, "ports": ports}
    space.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
    space.wait(lambda: _endpoints(space, name), 90)
    yield Served(space, name, bundle)


def _endpoints(space: Space, name: str) -> bool:
    found = space.list("discovery.k8s.io/v1/EndpointSlice", labelSelector=f"kubernetes.io/service-name={name}")
    return any(each["conditions"]["ready"] for slice in found for each in slice.get("endpoints") or ())


def _deployment(name: str, program: str) -> Obj:
    probe = {"httpGet": {"scheme": "HTTPS", "port": PORT, "path": "/readyz"}, "periodSeconds": 1}
    container = {
        "name": "main",
        "image": "agnhost:test",
        "command": ["python3", f"/{program}.py", "/certificates/tls.crt", "/certificates/tls.key", str(PORT)],
        "volumeMounts": [{"name": "certificates", "mountPath": "/certificates", "readOnly": True}],
        "readinessProbe": {**probe, "successThreshold": 1, "failureThreshold": 30},
        "ports": [{"containerPort": PORT}],
    }
    pod = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "certificates", "secret": {"secretName": name}}],
    }
    labels = {"app": name}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
