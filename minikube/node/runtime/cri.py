"""The Runtime over CRI v1, and over containerd's own API (channel.py) where CRI has no words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
import msgspec
from cri_api.v1 import api_pb2_grpc
from google.protobuf import json_format
from msgspec.structs import replace

from minikube.node.runtime import archive, messages
from minikube.node.runtime.base import (
    POD_UID_LABEL,
    Auth,
    Container,
    ContainerEvent,
    ContainerSpec,
    ContainerUsage,
    CreateFailed,
    ExecResult,
    ExecStreams,
    Image,
    ImagePullFailed,
    NotFound,
    Resources,
    RuntimeFault,
    RuntimeInfo,
    Sandbox,
    SandboxSpec,
    TreeMount,
    User,
)
from minikube.node.runtime.channel import Native, fault_of, opened
from minikube.node.runtime.images import ImageStore
from minikube.node.runtime.processes import Process, Tasks, signal_number
from minikube.node.runtime.snapshots import Snapshots
from minikube.node.runtime.specs import Specs, changes
from minikube.node.runtime.streams import CriStreams
from minikube.node.runtime.task_events import STATUS_FOLLOWS, Shown, TaskEvents

cri = messages.cri
T = TypeVar("T")
cri_grpc: Any = api_pb2_grpc
_AT_ONCE = 4
"""Starting more at once only makes every one slower."""
_OUTPUT = 16 * 1024


class CriRuntime:
    """Make it inside a running loop; `close` when done."""

    scheme = "containerd"

    def __init__(self, endpoint: str, *, pulls_at_once: int = 3) -> None:
        self._channel = opened(endpoint)
        self._pulls = asyncio.Semaphore(pulls_at_once)
        self._runtime = cri_grpc.RuntimeServiceStub(self._channel)
        self._images = cri_grpc.ImageServiceStub(self._channel)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._configs: dict[str, Any] = {}
        self._users: dict[str, User] = {}
        self._pause: str | None = None

    async def close(self) -> None:
        await self._channel.close()

    async def info(self) -> RuntimeInfo:
        version = await _call(self._runtime.Version(cri.VersionRequest(), timeout=10))
        answer = await _call(self._runtime.Status(cri.StatusRequest(), timeout=10))
        status = answer.status
        return RuntimeInfo(
            name=version.runtime_name,
            version=version.runtime_version,
            ready=any(condition.type == "RuntimeReady" and condition.status for condition in status.conditions),
            message="; ".join(condition.message for condition in status.conditions if condition.message),
            handlers=tuple(messages.handler(each) for each in answer.runtime_handlers),
            strict_groups=True,
        )

    async def run_sandbox(self, spec: SandboxSpec) -> str:
        config = messages.sandbox_config(spec)
        request = cri.RunPodSandboxRequest(config=config, runtime_handler=spec.runtime_handler)
        async with self._slots:
            answer = await _call(self._runtime.RunPodSandbox(request, timeout=240), CreateFailed)
        found: str = answer.pod_sandbox_id
        self._configs[found] = config
        return found

    async def stop_sandbox(self, sandbox: str) -> None:
        await _gone(self._runtime.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox), timeout=120))

    async def remove_sandbox(self, sandbox: str) -> None:
        request = cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox)
        await _gone(self._runtime.RemovePodSandbox(request, timeout=120))
        self._configs.pop(sandbox, None)

    async def sandboxes(self, pod_uid: str | None = None) -> Sequence[Sandbox]:
        wanted = cri.PodSandboxFilter(label_selector=_of_pod(pod_uid))
        answer = await _call(self._runtime.ListPodSandbox(cri.ListPodSandboxRequest(filter=wanted), timeout=30))
        return [messages.sandbox(item) for item in answer.items if pod_uid in (None, item.metadata.uid)]

    async def sandbox(self, sandbox: str) -> Sandbox:
        answer, info = await self._sandbox_status(sandbox)
        wanted = info.get("runtimeSpec", {}).get("linux", {}).get("namespaces", ())
        netns = next((item.get("path", "") for item in wanted if item["type"] == "network"), "")
        return messages.sandbox(answer.status, netns)

    async def _sandbox_status(self, sandbox: str) -> tuple[Any, Any]:
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox, verbose=True)
        answer = await _call(self._runtime.PodSandboxStatus(request, timeout=30))
        return answer, json.loads(answer.info.get("info", "{}"))

    async def create_container(self, sandbox: str, spec: ContainerSpec) -> str:
        config = self._configs.get(sandbox)
        if config is None:  # made before we were started: the runtime remembers its configuration
            _, info = await self._sandbox_status(sandbox)
            config = cri.PodSandboxConfig()
            json_format.ParseDict(info.get("config", {}), config, ignore_unknown_fields=True)
            self._configs[sandbox] = config
        request = cri.CreateContainerRequest(
            pod_sandbox_id=sandbox, config=messages.container_config(spec), sandbox_config=config
        )
        async with self._slots:
            answer = await _call(self._runtime.CreateContainer(request, timeout=120), CreateFailed)
        found: str = answer.container_id
        if (edit := changes(spec)) is not None:
            await Specs(self._channel).change(found, edit)
        return found

    async def start_container(self, container: str) -> None:
        async with self._slots:
            request = cri.StartContainerRequest(container_id=container)
            await _call(self._runtime.StartContainer(request, timeout=120), CreateFailed)

    async def stop_container(self, container: str, *, grace: float, signal: str = "") -> None:
        if signal and grace > 0:
            status = await self._status_of(container)
            if status is not None and not messages.stop_signal(status):  # it would send that of the image
                await self._end_with(container, signal, grace)
                grace = 0
        request = cri.StopContainerRequest(
            container_id=container, timeout=math.ceil(grace)
        )  # never less than asked
        await _gone(self._runtime.StopContainer(request, timeout=grace + 60))

    async def _end_with(self, container: str, signal: str, grace: float) -> None:
        """Until it has ended, or the time is over."""
        tasks = Tasks(self._channel)
        with contextlib.suppress(NotFound, TimeoutError):
            async with asyncio.timeout(grace):
                await tasks.kill(container, signal_number(signal))
                await tasks.ended(container)

    async def remove_container(self, container: str) -> None:
        request = cri.RemoveContainerRequest(container_id=container)
        await _gone(self._runtime.RemoveContainer(request, timeout=120))
        self._users.pop(container, None)

    async def containers(self, pod_uid: str | None = None) -> Sequence[Container]:
        pods = {item.id: item.pod_uid for item in await self.sandboxes(pod_uid)}
        wanted = cri.ContainerFilter(label_selector=_of_pod(pod_uid))
        listed = await _call(self._runtime.ListContainers(cri.ListContainersRequest(filter=wanted), timeout=30))
        found = []
        for item in listed.containers:
            uid = pods.get(item.pod_sandbox_id) or item.labels.get(POD_UID_LABEL, "")
            if pod_uid not in (None, uid):
                continue
            request = cri.ContainerStatusRequest(container_id=item.id)
            try:
                answer = await _call(self._runtime.ContainerStatus(request, timeout=30))
            except NotFound:
                continue
            one = messages.container(answer.status, item.pod_sandbox_id, uid)
            found.append(one if one.user is not None else replace(one, user=await self._user(one.id)))
        return found

    async def _user(self, container: str) -> User | None:
        """From its specification, once, where CRI does not tell (containerd before 2.0)."""
        if container not in self._users:
            try:
                self._users[container] = await Specs(self._channel).user(container)
            except NotFound:
                return None
        return self._users[container]

    async def update_container(self, container: str, resources: Resources) -> None:
        request = cri.UpdateContainerResourcesRequest(container_id=container, linux=messages.resources(resources))
        await _call(self._runtime.UpdateContainerResources(request, timeout=30))

    async def exec_sync(self, container: str, command: Sequence[str], *, timeout: float) -> ExecResult:
        request = cri.ExecSyncRequest(container_id=container, cmd=command, timeout=max(1, round(timeout)))
        call = self._runtime.ExecSync(request, timeout=timeout + 10)
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return ExecResult(exit_code=-1, output=b"", timed_out=True)
            raise fault_of(error) from error
        return ExecResult(exit_code=answer.exit_code, output=(answer.stdout + answer.stderr)[:_OUTPUT])

    async def exec(
        self, container: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> ExecStreams:
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr and not tty}
        return await Process.start(Tasks(self._channel), container, command, streams, tty=tty)

    async def attach(self, container: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> ExecStreams:
        request = cri.AttachRequest(
            container_id=container, stdin=stdin, stdout=stdout, stderr=stderr and not tty, tty=tty
        )
        answer = await _call(self._runtime.Attach(request, timeout=30))
        return await CriStreams.connect(answer.url, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)

    async def reopen_log(self, container: str) -> None:
        await _call(
            self._runtime.ReopenContainerLog(cri.ReopenContainerLogRequest(container_id=container), timeout=30)
        )

    async def usage(self) -> Sequence[ContainerUsage]:
        answer = await _call(self._runtime.ListContainerStats(cri.ListContainerStatsRequest(), timeout=30))
        return [messages.usage(item, item.attributes.labels.get(POD_UID_LABEL, "")) for item in answer.stats]

    async def images(self) -> Sequence[Image]:
        answer = await _call(self._images.ListImages(cri.ListImagesRequest(), timeout=30))
        kept = await self._sandbox_image()
        found = [messages.image(item) for item in answer.images]
        return [replace(each, pinned=True) if kept and kept in each.tags else each for each in found]

    async def _sandbox_image(self) -> str:
        """What every sandbox is made of, which containerd before 1.7.3 does not report as pinned; "": not told."""
        if self._pause is None:
            answer = await _call(self._runtime.Status(cri.StatusRequest(verbose=True), timeout=10))
            try:
                self._pause = str(msgspec.json.decode(answer.info["config"]).get("sandboxImage", ""))
            except (KeyError, msgspec.DecodeError):
                self._pause = ""
        return self._pause

    async def image(self, reference: str) -> Image | None:
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=reference))
        answer = await _call(self._images.ImageStatus(request, timeout=30))
        return messages.image(answer.image) if answer.image.id else None

    async def pull_image(self, reference: str, *, auth: Auth | None = None, known_as: str = "") -> Image:
        request = cri.PullImageRequest(image=cri.ImageSpec(image=reference))
        if auth is not None:
            request.auth.CopyFrom(
                cri.AuthConfig(
                    username=auth.username,
                    password=auth.password,
                    server_address=auth.server_address,
                    identity_token=auth.identity_token,
                    registry_token=auth.registry_token,
                )
            )
        async with self._pulls:
            answer = await _call(self._images.PullImage(request, timeout=1800), ImagePullFailed)
            if known_as:
                await ImageStore(self._channel).rename(reference, known_as)
        for pause in STATUS_FOLLOWS:  # a new name is told to CRI by an event
            found = await self.image(answer.image_ref)
            if found is not None and (not known_as or known_as in found.tags or "@" in known_as):
                return found
            await asyncio.sleep(pause)
        raise ImagePullFailed(f"{reference}: pulled, but not found afterwards")

    async def remove_image(self, image: str) -> None:
        await _gone(self._images.RemoveImage(cri.RemoveImageRequest(image=cri.ImageSpec(image=image)), timeout=120))

    async def import_archive(self, path: str) -> Sequence[str]:
        store = ImageStore(self._channel)
        names: list[str] = []
        async with in_thread(archive.opened(path)) as bundles:
            for bundle in bundles:
                await store.add(bundle)
                names.extend(bundle.names)
        return names

    async def image_tree(self, reference: str, *, name: str, pod_uid: str) -> Sequence[TreeMount]:
        manifest, config = await ImageStore(self._channel).described(reference)
        return await Snapshots(self._channel).view(name, pod_uid, manifest, config["rootfs"]["diff_ids"])

    async def drop_image_trees(self, keep: frozenset[str]) -> None:
        await Snapshots(self._channel).drop(keep)

    async def reclaim(self) -> None:
        await ImageStore(self._channel).collect_garbage()

    async def save_image(self, name: str, path: Path) -> None:
        """As a docker-archive. Raises NotFound, RuntimeFault."""
        await ImageStore(self._channel).save(name, path)

    def events(self) -> AsyncIterator[ContainerEvent]:
        return TaskEvents(Native(self._channel), self._shown).follow()

    async def _shown(self, container: str) -> Shown | None:
        status = await self._status_of(container)
        if status is None:
            return None
        return Shown(status.labels.get(POD_UID_LABEL, ""), status.state == cri.CONTAINER_EXITED)

    async def _status_of(self, container: str) -> Any:
        """None: it is gone, or CRI does not answer."""
        request = cri.ContainerStatusRequest(container_id=container)
        try:
            return (await _call(self._runtime.ContainerStatus(request, timeout=10))).status
        except RuntimeFault:
            return None


@contextlib.asynccontextmanager
async def in_thread(context: contextlib.AbstractContextManager[T]) -> AsyncIterator[T]:
    """A blocking context, entered in a thread."""
    found = await asyncio.to_thread(context.__enter__)
    try:
        yield found
    except BaseException as error:
        if not await asyncio.to_thread(context.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await asyncio.to_thread(context.__exit__, None, None, None)


def _of_pod(uid: str | None) -> dict[str, str]:
    """What selects everything of a pod."""
    return {POD_UID_LABEL: uid} if uid is not None else {}


async def _call(call: Any, kind: type[RuntimeFault] = RuntimeFault) -> Any:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise fault_of(error, kind) from error


async def _gone(call: Any) -> None:
    """What is already gone is a success."""
    try:
        await _call(call)
    except NotFound:
        return
