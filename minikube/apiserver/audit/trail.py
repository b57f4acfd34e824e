"""What is written down of one request, stage by stage: audit.k8s.io/v1 Event."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from minikube.api import time
from minikube.apiserver.audit.log import AuditLog
from minikube.apiserver.audit.policy import NAMES, SILENCE, Level, Policy, Stage, Verdict, judge, read_policy
from minikube.apiserver.compression import InPieces
from minikube.apiserver.headers import told
from minikube.apiserver.negotiation import JSON, PROTOBUF, read_body
from minikube.apiserver.request_info import RequestInfo
from minikube.auth.base import Decision, User
from minikube.client.base import PatchType
from minikube.errors import ApiError
from minikube.kit.clock import Clock
from minikube.schema import protobuf
from minikube.schema.protobuf import ProtobufError
from minikube.settings import Settings

ANNOTATIONS = web.RequestKey("audit-annotations", dict[str, str])
"""Where a request keeps what admission notes."""
DECISION = "authorization.k8s.io/decision"
PATCHES = tuple(f"application/{patch.value}" for patch in PatchType)
WRITES = ("create", "update", "patch", "delete", "deletecollection")
WHOLE = ("create", "update")
"""Their bodies are objects, which name what the path does not (audit.LogRequestObject)."""


class Audit:
    def __init__(self, policy: Policy, log: AuditLog, clock: Clock) -> None:
        self._policy = policy
        self._log = log
        self._clock = clock

    def open(self, request: web.BaseRequest, info: RequestInfo) -> Trail:
        return Trail(self._policy, self._log, self._clock, request, info)


def audit_of(settings: Settings, clock: Clock) -> Audit | None:
    """None: nothing is audited. Raises SettingsError."""
    if not settings.audit_policy_file or not settings.audit_log_path:
        return None
    log = AuditLog(
        settings.audit_log_path,
        clock,
        megabytes=settings.audit_log_maxsize,
        backups=settings.audit_log_maxbackup,
        days=settings.audit_log_maxage,
    )
    return Audit(read_policy(Path(settings.audit_policy_file)), log, clock)


class Trail:
    """One request's events. `identified` comes first; without it nobody was authenticated."""

    def __init__(
        self, policy: Policy, log: AuditLog, clock: Clock, request: web.BaseRequest, info: RequestInfo
    ) -> None:
        self._policy, self._log, self._clock = policy, log, clock
        self._request, self._info = request, info
        self._received = clock.now()
        self._id = request.headers.get("Audit-Id") or str(uuid.uuid4())
        self._verdict: Verdict | None = None
        self._user: User | None = None
        self._acting: User | None = None
        self._annotations: dict[str, str] = {}
        request[ANNOTATIONS] = self._annotations

    def identified(self, user: User) -> None:
        self._user = user
        self._verdict = judge(self._policy, user, self._info)
        self._write(Stage.REQUEST_RECEIVED)

    def decided(self, acting: User, decision: Decision, *, long_running: bool) -> None:
        if acting is not self._user:
            self._acting = acting
        self._annotations[DECISION] = "allow" if decision.allowed else "forbid"
        self._annotations["authorization.k8s.io/reason"] = decision.reason
        if long_running and decision.allowed:
            self._write(Stage.RESPONSE_STARTED, responseStatus={"metadata": {}, "code": 200})

    async def complete(self, response: web.StreamResponse, definition: str) -> None:
        """`definition` names the schema of what was asked for."""
        response.headers.setdefault("Audit-Id", self._id)
        if self._verdict is None:
            self._verdict = judge(self._policy, None, self._info)
        verdict = self._verdict or SILENCE
        if verdict.level is Level.NONE:
            return
        read = verdict.level >= Level.REQUEST_RESPONSE or response.status >= 400
        body = _answered(response, definition) if read else None
        more: dict[str, Any] = {"responseStatus": _status(response, body)}
        named = self._info.verb in WHOLE
        if self._info.resource and (named or (verdict.level >= Level.REQUEST and self._info.verb in WRITES)):
            asked = await self._asked(definition)
            if asked is not None and verdict.level >= Level.REQUEST:
                more["requestObject"] = self._trimmed(asked)
            if named and isinstance(asked, dict):
                more["objectRef"] = {**_sent_reference(asked), **_reference(self._info)}
        if verdict.level >= Level.REQUEST_RESPONSE and self._info.resource and body is not None:
            more["responseObject"] = self._trimmed(body)
        self._write(Stage.RESPONSE_COMPLETE, **more)

    async def _asked(self, definition: str) -> Any:
        """The request's body, which its handler has read already; None: it is empty or not what it should be.

        None also for who may not do it: what they sent is neither read nor written down.
        """
        if self._annotations.get(DECISION) != "allow":
            return None
        data = await self._request.read()
        try:
            media = self._request.headers.get("Content-Type", "")
            return read_body(data, media, definition=definition, json_also=PATCHES) if data else None
        except ApiError:
            return None

    def _trimmed(self, body: Any) -> Any:
        verdict = self._verdict
        if verdict is None or not verdict.omit_managed_fields or not isinstance(body, dict):
            return body
        metadata = {k: v for k, v in (body.get("metadata") or {}).items() if k != "managedFields"}
        return {**body, "metadata": metadata}

    def _write(self, stage: Stage, **more: Any) -> None:
        verdict = self._verdict or SILENCE
        if verdict.level is Level.NONE or stage in verdict.omitted:
            return
        request, info = self._request, self._info
        event: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": NAMES[verdict.level],
            "auditID": self._id,
            "stage": stage.value,
            "requestURI": request.path_qs,
            "verb": info.verb,
            "user": _user(self._user) if self._user is not None else {},
        }
        if self._acting is not None:
            event["impersonatedUser"] = _user(self._acting)
        event["sourceIPs"] = [request.remote] if request.remote else []
        event["userAgent"] = told(request.headers.get("User-Agent", ""))
        if info.resource:
            event["objectRef"] = _reference(info)
        event.update(more)
        event["requestReceivedTimestamp"] = time.micro_text(self._received)
        event["stageTimestamp"] = time.micro_text(self._clock.now())
        if self._annotations:
            event["annotations"] = self._annotations
        self._log.write(event)


def _user(user: User) -> dict[str, Any]:
    said = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": dict(user.extra)}
    return {name: value for name, value in said.items() if value}


def _sent_reference(sent: Mapping[str, Any]) -> dict[str, str]:
    metadata = sent.get("metadata")
    if not isinstance(metadata, dict):
        return {}
    return {
        name: value
        for name in ("namespace", "name", "uid", "resourceVersion")
        if isinstance(value := metadata.get(name), str) and value
    }


def _reference(info: RequestInfo) -> dict[str, str]:
    said = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name,
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }
    return {name: value for name, value in said.items() if value}


def _answered(response: web.StreamResponse, definition: str) -> Any:
    """What was answered, if it was one document."""
    body = b"".join(response.pieces) if isinstance(response, InPieces) else getattr(response, "body", None)
    if not isinstance(body, bytes) or not body:
        return None
    if response.content_type == PROTOBUF:
        with contextlib.suppress(ProtobufError):
            return protobuf.decode_answer(body, definition)
    return msgspec.json.decode(body) if response.content_type == JSON else None


def _status(response: web.StreamResponse, body: Any) -> Mapping[str, Any]:
    status: dict[str, Any] = {"metadata": {}}
    if isinstance(body, dict) and body.get("kind") == "Status":
        status.update({name: body[name] for name in ("status", "message", "reason") if name in body})
    return {**status, "code": response.status}
