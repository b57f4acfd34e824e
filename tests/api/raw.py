"""Plain HTTP with the administrator's certificate: for what no client library asks for."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3
import yaml

JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class Answer:
    """One HTTP answer, read to its end."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.code = response.status
        self.headers = response.headers
        self.body = response.data

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def warnings(self) -> list[str]:
        return self.headers.getlist("Warning")

    def ok(self, code: int = 200) -> Any:
        """The decoded body; fails the test when the code is another one."""
        assert self.code == code, f"{self.code}: {self.body[:2000].decode(errors='replace')}"
        return self.json if self.body[:1] in (b"{", b"[") else self.body

    def refused(self, code: int, reason: str) -> str:
        """The message of the Status."""
        found = self.ok(code)
        assert (found["kind"], found["reason"], found["code"]) == ("Status", reason, code)
        return found["message"]


class Http:
    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server: str = cluster["server"]
        self.context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        with tempfile.NamedTemporaryFile() as pem:
            for field in ("client-certificate-data", "client-key-data"):
                pem.write(base64.b64decode(user[field]))
            pem.flush()
            self.context.load_cert_chain(pem.name)
        self._pool = urllib3.PoolManager(ssl_context=self.context, retries=False)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        type: str = JSON,
        accept: str = JSON,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """`body` is encoded unless it is bytes already."""
        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        fields = {"Accept": accept, **({"Content-Type": type} if sent is not None else {}), **(headers or {})}
        return Answer(self._pool.request(method, self.server + path, body=sent, headers=fields, timeout=30))

    def get(self, path: str, **how: Any) -> Answer:
        return self.ask("GET", path, **how)

    def post(self, path: str, body: Any, **how: Any) -> Answer:
        return self.ask("POST", path, body, **how)

    def put(self, path: str, body: Any, **how: Any) -> Answer:
        return self.ask("PUT", path, body, **how)

    def patch(self, path: str, body: Any, type: str = MERGE, **how: Any) -> Answer:
        return self.ask("PATCH", path, body, type=type, **how)

    def delete(self, path: str, body: Any = None, **how: Any) -> Answer:
        return self.ask("DELETE", path, body, **how)

    def events(self, path: str) -> list[dict[str, Any]]:
        """What a watch that ends by itself says (give it a timeoutSeconds)."""
        answer = self.get(path)
        assert answer.code == 200, answer.body
        return [json.loads(line) for line in answer.body.splitlines()]

    def stream(self, path: str, seconds: float = 30) -> Iterator[dict[str, Any]]:
        """What a watch says, as it comes; it is open when this returns. No event for so long fails the test."""
        response = self._pool.request(
            "GET", self.server + path, headers={"Accept": JSON}, timeout=seconds, preload_content=False
        )
        assert response.status == 200, response.data
        return lines(response)


def lines(response: urllib3.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    rest = b""
    try:
        for chunk in response.stream():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines)
    finally:
        response.close()
