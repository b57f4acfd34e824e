"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: asks the webhooks that people configured.

Rules and words: k8s.io/apiserver pkg/admission/plugin/webhook (mutating and validating dispatchers, errors).
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from minikube.admission.base import Attributes
from minikube.admission.expressions import all_met, authority, variables_of
from minikube.admission.webhooks import review
from minikube.admission.webhooks.base import Answer, Caller, CallFailed, Hook
from minikube.admission.webhooks.matching import (
    exempt,
    matched_resource,
    selects_namespace,
    selects_object,
)
from minikube.admission.webhooks.versions import Versions, in_version, shown
from minikube.api.admissionregistration_v1 import MutatingWebhookConfiguration, ValidatingWebhookConfiguration
from minikube.api.core_v1 import Namespace
from minikube.api.meta import Resource
from minikube.api.selectors import Selector, compile_selector
from minikube.auth.base import Authorizer
from minikube.client.base import Informers
from minikube.errors import ApiError, Forbidden, InternalError, from_status
from minikube.schema.cel import CelError
from minikube.schema.cel_authority import asking
from minikube.schema.patch import PatchError, json_patch

log = logging.getLogger(__name__)

Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration


class Webhooks:
    """The webhooks of one kind of configuration that want to see a request, and how to ask one."""

    def __init__(
        self,
        kind: type[Configuration],
        informers: Informers,
        caller: Caller,
        versions: Versions,
        authorizer: Authorizer,
    ) -> None:
        self._authorizer = authorizer
        self._configurations = informers.of(kind)
        self._namespaces = informers.of(Namespace).lister
        self._caller = caller
        self.versions = versions
        self._hooks: Sequence[Hook] | None = ()
        self._configurations.add_handler(self._changed)

    def _changed(self, old: object, new: object) -> None:
        self._hooks = None

    def wanted(self, request: Attributes) -> list[tuple[Hook, Resource]]:
        """In order of the configurations' names. Raises NotFound."""
        if self._hooks is None:
            found = sorted(self._configurations.lister.list(), key=lambda each: each.metadata.name)
            self._hooks = [_hook(each) for configuration in found for each in configuration.webhooks]
        if not self._hooks or exempt(request.resource):
            return []
        matching = []
        for hook in self._hooks:
            rules, policy = hook.webhook.rules, hook.webhook.match_policy
            resource = matched_resource(rules, policy, request, self.versions.others(request.resource))
            if resource is None or not selects_namespace(hook.namespaces, request, self._namespaces):
                continue
            if not selects_object(hook.objects, request):
                continue
            matching.append((hook, resource))
        return matching

    async def ask(self, hook: Hook, resource: Resource, request: Attributes) -> Answer | None:
        """`request` is as `resource` shows it. None: conditions are not met, or the call failed and may be ignored.

        Raises the refusal, or InternalError, or Forbidden when a condition fails.
        """
        with asking(authority(self._authorizer, request.user)):
            met = _meets_conditions(hook, resource, request)
        if not met:
            return None
        uid = str(uuid.uuid4())
        body = msgspec.json.encode(review.question(request, uid, resource))
        try:
            said = await self._caller.call(hook.webhook.client_config, body, timeout=hook.seconds)
            answer = review.answer(said, uid)
        except CallFailed as error:
            why = str(error)
            if hook.webhook.failure_policy == "Ignore":
                log.warning("webhook %s could not be called and is ignored: %s", hook.name, why)
                return None
            raise InternalError(
                f'Internal error occurred: failed calling webhook "{hook.name}": failed to call webhook: {why}'
            ) from error
        request.warnings.extend(answer.warnings)
        request.annotations.update({f"{hook.name}/{key}": text for key, text in answer.audit_annotations.items()})
        if not answer.allowed:
            raise refusal(hook.name, answer.status)
        return answer


class MutatingWebhooks:
    """One after the other, each sees what the one before made of the object."""

    name: ClassVar[str] = "MutatingAdmissionWebhook"

    def __init__(self, informers: Informers, caller: Caller, versions: Versions, authorizer: Authorizer) -> None:
        self._webhooks = Webhooks(MutatingWebhookConfiguration, informers, caller, versions, authorizer)

    async def admit(self, request: Attributes) -> None:
        for hook, resource in self._webhooks.wanted(request):
            if request.again and not self._asks_again(hook, request):
                continue
            view = await shown(request, resource, self._webhooks.versions)
            answer = await self._webhooks.ask(hook, resource, view)
            if answer is not None and answer.patch:
                await self._apply(resource, request, patched(hook, view, answer.patch))
            request.seen[hook.name] = msgspec.json.encode(request.object)

    def _asks_again(self, hook: Hook, request: Attributes) -> bool:
        """A webhook that wants it sees the object again if it was changed after it."""
        if getattr(hook.webhook, "reinvocation_policy", "") != "IfNeeded":
            return False
        return request.seen.get(hook.name) != msgspec.json.encode(request.object)

    async def _apply(self, resource: Resource, request: Attributes, made: dict[str, Any]) -> None:
        back = await in_version(made, resource, request.resource, self._webhooks.versions)
        assert request.object is not None
        request.object.clear()
        request.object.update(back or {})
        request.rewritten = True


class ValidatingWebhooks:
    """All at once; the first refusal in their order is the answer."""

    name: ClassVar[str] = "ValidatingAdmissionWebhook"

    def __init__(self, informers: Informers, caller: Caller, versions: Versions, authorizer: Authorizer) -> None:
        self._webhooks = Webhooks(ValidatingWebhookConfiguration, informers, caller, versions, authorizer)

    async def validate(self, request: Attributes) -> None:
        wanted = self._webhooks.wanted(request)
        if not wanted:
            return
        seen = {resource.version: resource for _, resource in wanted}.values()
        views = {resource.version: await shown(request, resource, self._webhooks.versions) for resource in seen}
        asked = [self._webhooks.ask(hook, resource, views[resource.version]) for hook, resource in wanted]
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome


def patched(hook: Hook, request: Attributes, patch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the patch makes of the object, as the webhook saw it. Raises InternalError."""
    if request.object is None:
        raise InternalError(
            f'Internal error occurred: admission webhook "{hook.name}" attempted to modify the object, '
            "which is not supported for this operation"
        )
    try:
        made = json_patch(request.object, patch)
    except PatchError as error:
        raise InternalError(f"Internal error occurred: {error}") from error
    if not isinstance(made, dict):
        raise InternalError("Internal error occurred: the patch of a webhook left no object")
    return made


def refusal(name: str, status: Mapping[str, Any]) -> ApiError:
    """The webhook's own Status, said to be its."""
    denied = f'admission webhook "{name}" denied the request'
    said = status.get("message") or status.get("reason")
    code = status.get("code")
    return from_status(
        {
            **status,
            "message": f"{denied}: {said}" if said else f"{denied} without explanation",
            "code": code if isinstance(code, int) and code >= 400 else 400,
        }
    )


def _meets_conditions(hook: Hook, resource: Resource, request: Attributes) -> bool:
    conditions = hook.webhook.match_conditions
    if not conditions:
        return True
    try:
        return all_met(conditions, variables_of(request, resource))
    except CelError as error:
        if hook.webhook.failure_policy == "Ignore":
            log.warning("webhook %s is not asked: %s", hook.name, error)
            return False
        own = request.resource
        raise Forbidden.of(own.plural, own.group, request.name, str(error)) from error


def _hook(webhook: Any) -> Hook:
    return Hook(
        webhook,
        compile_selector(webhook.namespace_selector) if webhook.namespace_selector else Selector(),
        compile_selector(webhook.object_selector) if webhook.object_selector else Selector(),
    )
