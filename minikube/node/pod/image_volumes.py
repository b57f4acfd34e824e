"""Volumes that show the files of an image: mounted when the first container that needs them starts.

The image comes as a container's does, by the volume's own pull policy and with the same events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from minikube.api.core_v1 import Container, ImageVolumeSource, Pod, Volume
from minikube.node.host.mounts import is_mount, mount_image
from minikube.node.pod.problems import Problems
from minikube.node.pod.pulling import image_of
from minikube.node.runtime.base import CreateFailed, Image

if TYPE_CHECKING:
    from minikube.node.agent import Agent


def image_volumes(pod: Pod, wanted: Container) -> Iterator[tuple[Volume, ImageVolumeSource]]:
    """Those that the container mounts."""
    names = {mount.name for mount in wanted.volume_mounts}
    for volume in pod.spec.volumes:
        if volume.image is not None and volume.name in names:
            yield volume, volume.image


async def mount_images(agent: Agent, pod: Pod, wanted: Container, problems: Problems) -> Mapping[str, str]:
    """All that the container mounts: which image each volume shows, named as a container's imageID.

    Raises NoImage, RuntimeFault, CreateFailed.
    """
    shown = {}
    for volume, source in image_volumes(pod, wanted):
        asked = replace(wanted, image=source.reference, image_pull_policy=source.pull_policy)
        shown[volume.name] = await _mount(agent, pod, volume, await image_of(agent, pod, asked, problems))
    return shown


async def _mount(agent: Agent, pod: Pod, volume: Volume, image: Image) -> str:
    """What is mounted stays, whatever its name means by now."""
    name = next(iter(image.digests), image.id)
    if agent.simulated:
        return name
    target, uid = agent.place_of(pod, volume), pod.metadata.uid
    told = target.parent.parent / "image-volumes" / volume.name
    if await asyncio.to_thread(is_mount, target):
        return await asyncio.to_thread(told.read_text) if told.exists() else name
    reference = next(iter((*image.tags, *image.digests)), image.id)
    for each in await agent.runtime.image_tree(reference, name=f"{uid}-{volume.name}", pod_uid=uid):
        try:
            await asyncio.to_thread(mount_image, each.kind, each.source, each.options, target)
        except OSError as error:
            raise CreateFailed(f'failed to mount image volume "{volume.name}": {error}') from error
    await asyncio.to_thread(_write, told, name)
    return name


def _write(told: Path, name: str) -> None:
    told.parent.mkdir(exist_ok=True)
    told.write_text(name)
