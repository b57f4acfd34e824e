"""Admission webhooks that really run: in a pod behind a Service over TLS, and at a URL on the machine."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minikube.pki.certificates import Pair, ensure_ca, ensure_leaf
from tests.machines import Machine, Network

pytestmark = pytest.mark.node

HOOK = """
import base64, http.server, json, ssl, sys

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        labels = (asked.get("object") or asked.get("oldObject") or {})["metadata"].get("labels", {})
        answer = {"uid": asked["uid"], "allowed": "bad" not in labels, "warnings": ["seen by the hook"]}
        if not answer["allowed"]:
            answer["status"] = {"message": "bad things stay out", "code": 403, "reason": "Forbidden"}
        elif self.path.startswith("/mutate"):
            patch = [{"op": "add", "path": "/data", "value": {"added": "yes"}}]
            answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[3])), Hook)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "DELETE"]}


class Hooks:
    """A machine, a webhook process on it, and the CA that its certificate is of."""

    def __init__(self, machine: Machine, root: Path) -> None:
        self.machine = machine
        ca = ensure_ca(root, "hook-ca")
        self.bundle = base64.b64encode(ca.pem).decode()
        leaf = ensure_leaf(
            Pair(root / "hook.crt", root / "hook.key"),
            ca,
            common_name="hook",
            names=["hook.default.svc", machine.address],
            server=True,
        )
        script = root / "hook.py"
        script.write_text(HOOK)
        self.process = subprocess.Popen(
            [*machine.enter, sys.executable, str(script), str(leaf.certificate), str(leaf.key), "9443"]
        )
        machine.kubectl("create", "-f", "-", stdin=json.dumps(self._service()))

    def _service(self) -> dict[str, Any]:
        """A Service without selector, whose endpoint is the process on the machine."""
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "hook"},
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 9443}]},
        }
        endpoints = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": 9443}],
            "endpoints": [{"addresses": [self.machine.address], "nodeName": self.machine.name}],
        }
        return {"apiVersion": "v1", "kind": "List", "items": [service, endpoints]}

    def configure(self, kind: str, target: dict[str, Any], **changes: Any) -> None:
        hook = {
            "name": "hook.example.com",
            "clientConfig": {"caBundle": self.bundle, **target},
            "rules": [RULE],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
            **changes,
        }
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "hook"},
            "webhooks": [hook],
        }
        self.machine.kubectl("apply", "-f", "-", stdin=json.dumps(configuration))


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hooks]:
    with Network(f"w{os.getpid()}") as network:
        machine = network.machine()
        machine.serve()
        found = Hooks(machine, tmp_path_factory.mktemp("hook"))
        yield found
        found.process.kill()
        found.process.wait()


@pytest.fixture(autouse=True)
def unconfigured(hooks: Hooks) -> Iterator[None]:
    yield
    kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
    hooks.machine.kubectl("delete", kinds, "--all")


@pytest.mark.parametrize("way", ["service", "url"])
def test_a_webhook_refuses_and_warns(hooks: Hooks, way: str) -> None:
    target = {
        "service": {"service": {"name": "hook", "namespace": "default", "path": "/validate"}},
        "url": {"url": f"https://{hooks.machine.address}:9443/validate"},
    }[way]
    hooks.configure("ValidatingWebhookConfiguration", target)
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"bad-{way}", "labels": {"bad": "yes"}}}
    said = hooks.machine.refused("create", "-f", "-", stdin=json.dumps(bad))
    assert 'admission webhook "hook.example.com" denied the request: bad things stay out' in said
    done = hooks.machine.run("kubectl", "create", "configmap", f"good-{way}")
    assert "Warning: seen by the hook" in done.stderr


def test_a_webhook_changes_the_object(hooks: Hooks) -> None:
    target = {"service": {"name": "hook", "namespace": "default", "path": "/mutate"}}
    hooks.configure("MutatingWebhookConfiguration", target)
    hooks.machine.kubectl("create", "configmap", "changed")
    assert hooks.machine.kubectl("get", "configmap", "changed", "-o", "jsonpath={.data.added}") == "yes"


def test_a_certificate_of_somebody_else_is_not_trusted(hooks: Hooks, tmp_path: Path) -> None:
    other = base64.b64encode(ensure_ca(tmp_path, "other-ca").pem).decode()
    target = {"caBundle": other, "service": {"name": "hook", "namespace": "default"}}
    hooks.configure("ValidatingWebhookConfiguration", target)
    said = hooks.machine.refused("create", "configmap", "untrusted")
    assert 'failed calling webhook "hook.example.com": failed to call webhook: Post' in said
    assert "https://hook.default.svc:443/?timeout=5s" in said
    assert "failed to verify certificate" in said


def test_a_webhook_that_is_not_there_is_ignored_if_its_policy_says_so(hooks: Hooks) -> None:
    target = {"service": {"name": "nobody", "namespace": "default"}}
    hooks.configure("ValidatingWebhookConfiguration", target)
    assert 'services "nobody" not found' in hooks.machine.refused("create", "configmap", "lonely")
    hooks.configure("ValidatingWebhookConfiguration", target, failurePolicy="Ignore")
    hooks.machine.kubectl("create", "configmap", "lonely")
