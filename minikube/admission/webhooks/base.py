"""What a webhook is here, and how one is called; who carries the call is somebody else's business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from minikube.api.admissionregistration_v1 import MutatingWebhook, ValidatingWebhook, WebhookClientConfig
from minikube.api.selectors import Selector


class Hook(msgspec.Struct, frozen=True):
    """One webhook of a configuration, its selectors compiled."""

    webhook: MutatingWebhook | ValidatingWebhook
    namespaces: Selector
    objects: Selector

    @property
    def name(self) -> str:
        return self.webhook.name

    @property
    def seconds(self) -> float:
        return float(self.webhook.timeout_seconds or 10)


class CallFailed(Exception):
    """The webhook could not be asked; the message is what upstream prints after `failed to call webhook: `."""


class Caller(Protocol):
    async def call(self, target: WebhookClientConfig, body: bytes, *, timeout: float) -> bytes:
        """POST a review, answer the body of a 200. Raises CallFailed, also after `timeout` seconds."""
        ...


class Answer(msgspec.Struct, frozen=True):
    """What a webhook said. `status` is a metav1.Status tree, `patch` the operations of a JSON patch."""

    allowed: bool
    status: Mapping[str, object] = {}
    patch: tuple[Mapping[str, object], ...] = ()
    warnings: tuple[str, ...] = ()
    audit_annotations: Mapping[str, str] = {}
