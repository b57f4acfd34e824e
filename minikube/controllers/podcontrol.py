"""Making and removing an owner's pods, with the events that people look for. Rules: controller.RealPodControl."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from minikube.api.core_v1 import Pod
from minikube.api.meta import Object
from minikube.client.base import Client
from minikube.client.events import EventRecorder
from minikube.errors import ApiError, NotFound


class PodControl:
    """Both methods answer with the message of the first refusal, "" when all went well."""

    def __init__(self, client: Client, events: EventRecorder) -> None:
        self._client = client
        self._events = events

    async def create(self, owner: Object, pods: Sequence[Pod]) -> str:
        """In batches of 1, 2, 4 … so that a refusal costs one try (slowStartBatch)."""
        size, at = 1, 0
        while at < len(pods):
            answers = await asyncio.gather(
                *(self._client.create(pod) for pod in pods[at : at + size]), return_exceptions=True
            )
            failure = ""
            for answer in answers:
                if isinstance(answer, ApiError):
                    failure = failure or self._refused(owner, answer)
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    self._events.normal(owner, "SuccessfulCreate", f"Created pod: {answer.metadata.name}")
            if failure:
                return failure
            at += size
            size *= 2
        return ""

    async def delete(self, owner: Object, pods: Sequence[Pod]) -> str:
        answers = await asyncio.gather(*(self._delete(owner, pod) for pod in pods))
        return next((message for message in answers if message), "")

    def _refused(self, owner: Object, error: ApiError) -> str:
        """In a namespace that is going away nothing can be made, and nothing is wrong with that."""
        if not any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes):
            self._events.warning(owner, "FailedCreate", f"Error creating: {error.message}")
        return error.message

    async def _delete(self, owner: Object, pod: Pod) -> str:
        meta = pod.metadata
        try:
            await self._client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
        except NotFound:
            return ""
        except ApiError as error:
            self._events.warning(owner, "FailedDelete", f"Error deleting: {error.message}")
            return error.message
        self._events.normal(owner, "SuccessfulDelete", f"Deleted pod: {meta.name}")
        return ""
