"""An extension API server: flunders of whatever group is asked for, kept in memory. In the image, as agnhost.py.

`/sample_apiserver.py CERTIFICATE KEY PORT`. Like any of them it reads which front proxies to believe in
kube-system/extension-apiserver-authentication, and asks the cluster's API whether a user may.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import urllib.request
import uuid
from typing import Any

from tls_json import Handler, Tree, serve

HERE = "/var/run/secrets/kubernetes.io/serviceaccount"
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def cluster(path: str, body: Tree | None = None) -> Tree:
    """Asks the cluster's API as this pod's service account."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    with open(f"{HERE}/token") as token:
        headers = {"Authorization": f"Bearer {token.read()}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"https://{host}:{port}{path}", data=data, headers=headers)
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=f"{HERE}/ca.crt")) as answer:
        found: Tree = json.load(answer)
        return found


class Flunders:
    """By (group, namespace, name), and who waits for changes."""

    def __init__(self) -> None:
        self.revision = 0
        self.objects: dict[tuple[str, str, str], Tree] = {}
        self.events: list[tuple[str, Tree]] = []
        self.changed = threading.Condition()

    def put(self, type: str, key: tuple[str, str, str], obj: Tree) -> Tree:
        with self.changed:
            self.revision += 1
            obj["metadata"]["resourceVersion"] = str(self.revision)
            if type == "DELETED":
                del self.objects[key]
            else:
                self.objects[key] = obj
            self.events.append((type, obj))
            self.changed.notify_all()
        return obj


KEPT = Flunders()
GROUPS: set[str] = set()
"""That somebody has asked about."""


class Api(Handler):
    allowed: frozenset[str] = frozenset()

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        chunks = iter(self.chunks, b"") if self.headers.get("Transfer-Encoding") == "chunked" else ()
        self.body = b"".join(chunks) or self.rfile.read(length)
        path, _, query = self.path.partition("?")
        if path == "/readyz":
            return self.say(200, {"ready": True})
        if not self.proxied():
            return self.refuse(401, "Unauthorized", "only front proxies may ask")
        parts = path.strip("/").split("/")
        if parts[:2] == ["openapi", "v3"]:
            return self.openapi(parts[2:])
        if parts[0] == "openapi":
            self.close_connection = True  # without an answer: it is an API all the same
            return None
        if len(parts) == 3:
            GROUPS.add(parts[1])
            return self.say(200, discovery(f"{parts[1]}/{parts[2]}"))
        if parts[3] == "upgraded":
            return self.upgrade()
        namespace, name = parts[4], parts[6] if len(parts) > 6 else ""
        if not self.may(parts[1], namespace, name):
            return self.refuse(403, "Forbidden", "the cluster says no")
        if "watch=" in query:
            return self.watch(parts[1], namespace)
        return self.flunders(parts[1], parts[2], namespace, name)

    def chunks(self) -> bytes:
        size = int(self.rfile.readline().strip(), 16)
        found = self.rfile.read(size)
        self.rfile.readline()
        return found

    def proxied(self) -> bool:
        certificate: Any = self.connection.getpeercert()  # type: ignore[attr-defined]
        subject = [pair for part in (certificate or {}).get("subject", ()) for pair in part]
        names = {value for key, value in subject if key == "commonName"}
        return bool(names & self.allowed)

    def may(self, group: str, namespace: str, name: str) -> bool:
        verb = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[self.command]
        attributes = {"group": group, "resource": "flunders", "namespace": namespace, "name": name, "verb": verb}
        spec = {
            "user": self.headers["X-Remote-User"],
            "groups": self.headers.get_all("X-Remote-Group") or [],
            "resourceAttributes": attributes,
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        found = cluster("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(found["status"]["allowed"])

    def flunders(self, group: str, version: str, namespace: str, name: str) -> None:
        head = {"apiVersion": f"{group}/{version}", "kind": "Flunder"}
        if self.command == "POST":
            made = {**json.loads(self.body), **head}
            name = made["metadata"]["name"]
            made["metadata"] |= {"namespace": namespace, "uid": str(uuid.uuid4())}
            if (group, namespace, name) in KEPT.objects:
                return self.refuse(409, "AlreadyExists", f'flunders.{group} "{name}" already exists')
            return self.say(201, KEPT.put("ADDED", (group, namespace, name), made))
        if not name:
            found = [obj for key, obj in KEPT.objects.items() if key[:2] == (group, namespace)]
            if self.command == "DELETE":
                for each in list(found):
                    KEPT.put("DELETED", (group, namespace, each["metadata"]["name"]), each)
            listed = {**head, "kind": "FlunderList", "metadata": {"resourceVersion": str(KEPT.revision)}}
            return self.say(200, {**listed, "items": found})
        present = KEPT.objects.get((group, namespace, name))
        if present is None:
            return self.refuse(404, "NotFound", f'flunders.{group} "{name}" not found')
        if self.command == "DELETE":
            KEPT.put("DELETED", (group, namespace, name), present)
            return self.say(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        if self.command == "PATCH":
            patch = json.loads(self.body)
            metadata = {**present["metadata"], **patch.pop("metadata", {})}
            present = KEPT.put("MODIFIED", (group, namespace, name), {**present, **patch, "metadata": metadata})
        return self.say(200, {**present, "asked": dict(self.asked())})

    def asked(self) -> Any:
        yield "by", self.headers["X-Remote-User"]
        yield "groups", self.headers.get_all("X-Remote-Group") or []
        yield "authorization", self.headers.get("Authorization", "")

    def watch(self, group: str, namespace: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen = 0
        while True:
            with KEPT.changed:
                while len(KEPT.events) == seen:
                    KEPT.changed.wait()
                events, seen = KEPT.events[seen:], len(KEPT.events)
            for type, obj in events:
                if obj["metadata"]["namespace"] == namespace and obj["apiVersion"].startswith(group + "/"):
                    line = json.dumps({"type": type, "object": obj}).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))

    def upgrade(self) -> None:
        """Whatever comes after the 101 goes back."""
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while line := self.rfile.readline():
            self.wfile.write(line)
        self.close_connection = True

    def openapi(self, parts: list[str]) -> None:
        if not parts:
            roots = [f"apis/{group}/v1alpha1" for group in GROUPS]
            return self.say(200, {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}})
        return self.say(200, {"openapi": "3.0.0", "info": {"title": "flunders"}, "paths": {}})

    def refuse(self, code: int, reason: str, message: str) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
        self.say(code, {**status, "reason": reason, "code": code})


def discovery(group_version: str) -> Tree:
    flunders = {
        "name": "flunders",
        "singularName": "flunder",
        "namespaced": True,
        "kind": "Flunder",
        "verbs": VERBS,
    }
    status = {**flunders, "name": "flunders/status", "singularName": "", "verbs": ["get", "patch", "update"]}
    head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version}
    return {**head, "resources": [{**flunders, "shortNames": ["fl"]}, status]}


def main() -> None:
    trusted = cluster("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")["data"]
    Api.allowed = frozenset(json.loads(trusted["requestheader-allowed-names"]))
    serve(Api, clients=trusted["requestheader-client-ca-file"])


if __name__ == "__main__":
    main()
