"""The image of a container by its pull policy, with the kubelet's events (pkg/kubelet/images)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from minikube.api.core_v1 import Container, Pod
from minikube.node.pod.pods import field_of
from minikube.node.pod.problems import SHOWN, Problems
from minikube.node.runtime.base import Image, ImagePullFailed

if TYPE_CHECKING:
    from minikube.node.agent import Agent

_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/|\[[0-9a-fA-F:]+\](?::\d+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][\w.+-]*:[0-9a-fA-F]{32,})?"
)


class NoImage(Exception):
    """The container cannot start yet; the problem is noted and told."""


async def image_of(agent: Agent, pod: Pod, wanted: Container, problems: Problems) -> Image:
    """Raises NoImage, or RuntimeFault when the runtime does not answer."""
    reference, name = wanted.image, wanted.name
    if not _REFERENCE.fullmatch(reference):
        why = f'Failed to apply default image tag "{reference}": couldn\'t parse image name "{reference}": '
        problems.failed(name, "InvalidImageName", f"{why}invalid reference format")
        agent.event(pod, wanted, "InspectFailed", f"{why}invalid reference format")
        agent.event(pod, wanted, "Failed", "Error: InvalidImageName")
        raise NoImage
    found = await agent.runtime.image(reference)
    policy = wanted.image_pull_policy or "IfNotPresent"
    if found is not None and policy != "Always" and await agent.may_use(pod, reference, found):
        text = f'Container image "{reference}" already present on machine and can be accessed by the pod'
        agent.event(pod, wanted, "Pulled", text)
        return found
    if policy == "Never":
        text = f'Container image "{reference}" is not present with pull policy of Never'
        problems.failed(name, "ErrImageNeverPull", text)
        agent.event(pod, wanted, "ErrImageNeverPull", text)
        agent.event(pod, wanted, "Failed", "Error: ErrImageNeverPull")
        raise NoImage
    return await _pulled(agent, pod, wanted, problems)


async def _pulled(agent: Agent, pod: Pod, wanted: Container, problems: Problems) -> Image:
    reference, name = wanted.image, wanted.name
    agent.event(pod, wanted, "Pulling", f'Pulling image "{reference}"')
    begun = agent.clock.monotonic()
    try:
        image = await agent.pull(pod, reference)
    except ImagePullFailed as error:
        agent.event(pod, wanted, "Failed", f'Failed to pull image "{reference}": {error.message}')
        agent.event(pod, wanted, "Failed", "Error: ErrImagePull")
        problems.pull_failed(name, error.message)
        asyncio.get_running_loop().call_later(SHOWN, _back_off, agent, pod, wanted, problems)
        raise NoImage from error
    took = round((agent.clock.monotonic() - begun) * 1000)
    text = f'Successfully pulled image "{reference}" in {_duration(took)} ({_duration(took)} including waiting). '
    agent.event(pod, wanted, "Pulled", f"{text}Image size: {image.size} bytes.")
    return image


def _back_off(agent: Agent, pod: Pod, wanted: Container, problems: Problems) -> None:
    text = problems.start_backing_off(wanted.name, wanted.image)
    if text:
        agent.recorder.normal(pod, "BackOff", text, field=field_of(pod, wanted.name))
        agent.event(pod, wanted, "Failed", "Error: ImagePullBackOff")
        agent.wake(pod)


def _duration(milliseconds: int) -> str:
    """As Go writes it."""
    return f"{milliseconds / 1000:g}s" if milliseconds >= 1000 else f"{milliseconds}ms"
