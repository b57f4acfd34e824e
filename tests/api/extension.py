"""An extension API server on this machine, behind a Service without a selector: gadgets, kept in memory.

It believes whoever shows a certificate of the CA of front proxies, as it was published when it started.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from minikube.pki.certificates import Pair, ensure_ca, ensure_leaf
from minikube.transport.client import address_towards
from tests.api.conftest import Cluster

GROUP, VERSION = "gadgets.example.com", "v1"
ROOT = f"/apis/{GROUP}/{VERSION}"
GADGETS = {
    "name": "gadgets",
    "singularName": "gadget",
    "namespaced": True,
    "kind": "Gadget",
    "verbs": ["create", "delete", "get", "list"],
    "shortNames": ["gg"],
}
KIND = {"group": GROUP, "version": VERSION, "kind": "Gadget"}
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "gadgets", "version": "1"},
    "paths": {
        f"{ROOT}/namespaces/{{namespace}}/gadgets": {
            "get": {
                "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/com.example.Gadget"}}}
            }
        },
        "/version/": {"get": {"responses": {"200": {"description": "OK"}}}},
    },
    "definitions": {
        "com.example.Gadget": {
            "description": "A gadget.",
            "type": "object",
            "properties": {
                "metadata": {"$ref": f"#/definitions/{META}"},
                "size": {"type": "integer", "description": "How big it is."},
            },
            "x-kubernetes-group-version-kind": [KIND],
        },
        META: {"type": "object", "description": "Not what the cluster says of it."},
        "unused": {"type": "object"},
    },
}


class Gadgets(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("0.0.0.0", 0), Api)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.users: set[str] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever shows no certificate is refused, and that is all."""


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gadgets

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        parts = path.strip("/").split("/")[3:]
        self.server.users.add(self.headers.get("X-Remote-User", ""))
        if path == "/openapi/v2":
            return self.say(200, SWAGGER)
        if path == ROOT:
            group_version = f"{GROUP}/{VERSION}"
            head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version}
            return self.say(200, {**head, "resources": [GADGETS]})
        if parts[-1:] == ["gadgets"]:
            namespace = parts[1] if len(parts) > 1 else ""
            return self.create(namespace, json.loads(body)) if self.command == "POST" else self.list(namespace)
        found = self.server.objects.get((parts[1], parts[3])) if len(parts) == 4 else None
        if found is not None and self.command == "DELETE":
            del self.server.objects[parts[1], parts[3]]
        return self.say(404, status(404, "NotFound", path)) if found is None else self.say(200, found)

    do_POST = do_DELETE = do_GET

    def create(self, namespace: str, gadget: dict[str, Any]) -> None:
        gadget["metadata"] |= {"namespace": namespace, "uid": str(uuid.uuid4()), "resourceVersion": "1"}
        self.server.objects[namespace, gadget["metadata"]["name"]] = gadget
        self.say(201, gadget)

    def list(self, namespace: str) -> None:
        items = [one for (where, _), one in self.server.objects.items() if where == namespace or not namespace]
        head = {"kind": "GadgetList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {"resourceVersion": "1"}}
        self.say(200, {**head, "items": items})

    def say(self, code: int, found: Any) -> None:
        body = json.dumps(found).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**head, "reason": reason, "message": message, "code": code}


@contextmanager
def gadgets(cluster: Cluster, namespace: str, directory: Path) -> Iterator[Gadgets]:
    """Serving, registered and available; the registration goes at the end."""
    ca = ensure_ca(directory, "extension-ca")
    pair = Pair(directory / "extension.crt", directory / "extension.key")
    own = ensure_leaf(pair, ca, common_name="gadgets", names=[f"gadgets.{namespace}.svc"], server=True)
    published = ("-n", "kube-system", "get", "configmap", "extension-apiserver-authentication", "-o", "json")
    proxies = json.loads(cluster.kubectl(*published))["data"]["requestheader-client-ca-file"]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=proxies)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(own.certificate, own.key)
    server = Gadgets(context)
    threading.Thread(target=server.serve_forever, name="gadgets", daemon=True).start()
    register(cluster, namespace, ca.pem, server.server_address[1])
    try:
        yield server
    finally:
        cluster.run("delete", "apiservice", f"{VERSION}.{GROUP}", "--ignore-not-found")
        server.shutdown()
        server.server_close()


def register(cluster: Cluster, namespace: str, ca: bytes, port: int) -> None:
    meta = {"name": "gadgets", "namespace": namespace}
    ports = [{"name": "https", "port": 443}]
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**meta, "labels": {"kubernetes.io/service-name": "gadgets"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address_towards()], "nodeName": "paper"}],
        "ports": [{"name": "https", "port": port}],
    }
    spec = {
        "service": {"name": "gadgets", "namespace": namespace},
        "group": GROUP,
        "version": VERSION,
        "caBundle": base64.b64encode(ca).decode(),
        "groupPriorityMinimum": 2000,
        "versionPriority": 10,
    }
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}}
    name = f"{VERSION}.{GROUP}"
    kind = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}}
    objects = {"apiVersion": "v1", "kind": "List", "items": [service, endpoints, {**kind, "spec": spec}]}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(objects))
    cluster.kubectl("wait", "--for=condition=Available", f"apiservice/{name}", "--timeout=20s")
