"""Log lines stay lines."""

from __future__ import annotations

import logging

from minikube.kit.logs import OneLine


def test_what_strangers_send_cannot_begin_a_line_or_command_a_terminal() -> None:
    path = "/api\n2026-01-01 I minikube: all is well\r\x1b[2J\x9b2J"
    record = logging.LogRecord("minikube", logging.INFO, "", 0, "GET %s: é", (path,), None)
    line = OneLine().format(record)
    assert line.endswith(r"GET /api\x0a2026-01-01 I minikube: all is well\x0d\x1b[2J\x9b2J: é")
