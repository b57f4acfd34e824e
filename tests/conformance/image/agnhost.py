"""The image `agnhost:test`: what upstream's test image of that name answers, as far as the rows ask for it.

`netexec` tells over HTTP and UDP who it is and who asks; `porter` says a text on each port of its environment;
`grpc-health` is healthy. Standard library only: it runs inside the image, away from the project.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

STARTED = time.monotonic()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> tuple[int, str, dict[str, str]]:
        """Status, text, further headers. Subclasses say it."""
        raise NotImplementedError

    def serve(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        code, text, headers = self.answer()
        sent = text.encode()
        self.send_response(code)
        for name, value in {"Content-Type": "text/plain", **headers, "Content-Length": str(len(sent))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve


class NetExec(Handler):
    unhealthy_after = float("inf")

    def answer(self) -> tuple[int, str, dict[str, str]]:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/healthz" and time.monotonic() - STARTED > self.unhealthy_after:
            return 500, "unhealthy", {}
        if url.path == "/redirect":
            return 302, "", {"Location": query["loc"]}
        if url.path == "/dial":
            return 200, json.dumps(dial(query)), {}
        if url.path == "/shutdown":
            threading.Timer(0.1, os._exit, [0]).start()
        return 200, said(url.path.strip("/"), query.get("msg", ""), self.client_address), {}


def said(word: str, text: str, client: tuple[str, int]) -> str:
    if word == "hostname":
        return socket.gethostname()
    if word == "clientip":
        return f"{client[0]}:{client[1]}"
    return text if word == "echo" else "now"


def dial(query: dict[str, str]) -> dict[str, list[str]]:
    """Asks somebody else, `tries` times: {"responses": […], "errors": […]}."""
    found: dict[str, list[str]] = {"responses": [], "errors": []}
    for _ in range(int(query.get("tries", "1"))):
        try:
            found["responses"].append(asked(query))
        except OSError as error:
            found["errors"].append(str(error))
    return found


def asked(query: dict[str, str]) -> str:
    host, port, request = query["host"], int(query["port"]), query.get("request", "hostname").strip("/")
    if query.get("protocol", "http") == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.settimeout(1)
            caller.sendto(request.encode(), (host, port))
            return caller.recv(2048).decode()
    with urllib.request.urlopen(f"http://{host}:{port}/{request}", timeout=2) as response:
        return str(response.read().decode())


def answer_udp(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", port))
        while True:
            word, client = server.recvfrom(2048)
            name, _, text = word.decode().strip().partition(" ")
            print(f"udp {name} from {client[0]}", flush=True)
            server.sendto(said(name, text, client).encode(), client)


class Porter(Handler):
    text, as_json = "", False

    def answer(self) -> tuple[int, str, dict[str, str]]:
        if self.as_json:
            return (
                200,
                json.dumps({"Method": self.command, "Body": self.text}),
                {"Content-Type": "application/json"},
            )
        return 200, self.text, {"Content-Type": "text/html; charset=utf-8"}


def porter(as_json: bool) -> None:
    for name, text in os.environ.items():
        kind, _, port = name.rpartition("_PORT_")
        if kind in ("SERVE", "SERVE_TLS"):
            server = Server(("", int(port)), type("Port", (Porter,), {"text": text, "as_json": as_json}))
            if kind == "SERVE_TLS":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
                server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()


def grpc_health(port: int) -> None:
    """SERVING, whatever is asked: frames of HTTP/2 by hand (RFC 9113), headers uncompressed."""
    with socket.create_server(("", port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=answer_grpc, args=(connection,), daemon=True).start()


def answer_grpc(connection: socket.socket) -> None:
    def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> None:
        connection.sendall(struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body)

    def field(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    with connection, connection.makefile("rb") as stream:
        stream.read(24)
        frame(4, 0, 0)
        while head := stream.read(9):
            size, kind, flags, number = int.from_bytes(head[:3], "big"), head[3], head[4], head[5:]
            body, asked = stream.read(size), int.from_bytes(number, "big")
            if kind in (4, 6) and not flags & 1:
                frame(kind, 1, 0, body if kind == 6 else b"")
            if kind in (0, 1) and flags & 1:
                frame(1, 4, asked, b"\x88" + field(b"content-type", b"application/grpc"))
                frame(0, 0, asked, b"\x00\x00\x00\x00\x02\x08\x01")
                frame(1, 5, asked, field(b"grpc-status", b"0"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("netexec", "porter", "grpc-health"))
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument("--udp-port", type=int, default=8081)
    parser.add_argument("--unhealthy-after", type=float, default=float("inf"), help="seconds until /healthz fails")
    parser.add_argument("--delay-shutdown", type=float, default=0, help="seconds to go on after SIGTERM")
    parser.add_argument("--port", type=int, default=5000, help="of grpc-health")
    parser.add_argument("--json-response", action="store_true")
    asked = parser.parse_args()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    if asked.what == "porter":
        porter(asked.json_response)
    elif asked.what == "grpc-health":
        threading.Thread(target=grpc_health, args=(asked.port,), daemon=True).start()
    else:
        NetExec.unhealthy_after = asked.unhealthy_after
        threading.Thread(target=Server(("", asked.http_port), NetExec).serve_forever, daemon=True).start()
        if asked.udp_port > 0:
            threading.Thread(target=answer_udp, args=(asked.udp_port,), daemon=True).start()
    ended.wait()
    time.sleep(asked.delay_shutdown)
    sys.exit(0)


if __name__ == "__main__":
    main()
