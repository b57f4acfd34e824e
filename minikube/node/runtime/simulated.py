"""A runtime that runs nothing and tells the truth about lifecycle: for tests, and for a thousand nodes at once.

Pod annotations say how containers end: `simulated.minikube/exit-after` (seconds), `simulated.minikube/exit-code`,
each also with `.<container>` appended. Init containers end at once, others run until stopped.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Sequence
from itertools import count

import msgspec

from minikube.kit.clock import SYSTEM, Clock
from minikube.node.network.base import AddressesExhausted, Attachment
from minikube.node.runtime.base import (
    Auth,
    Container,
    ContainerEvent,
    ContainerSpec,
    ContainerUsage,
    CreateFailed,
    ExecResult,
    ExecStreams,
    Handler,
    Image,
    ImagePullFailed,
    NotFound,
    PortMapping,
    Resources,
    RuntimeInfo,
    Sandbox,
    SandboxSpec,
    State,
    TreeMount,
)

PREFIX = "simulated.minikube/"
INIT_LABEL = "minikube/init-container"
"""On containers that are expected to end by themselves."""


class SimulatedRuntime:
    """An image whose reference holds `missing` cannot be pulled."""

    scheme = "simulated"

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._ids = count(1)
        self._sandboxes: dict[str, Sandbox] = {}
        self._containers: dict[str, Container] = {}
        self._images: dict[str, Image] = {}
        self._exits: dict[str, asyncio.Task[None]] = {}
        self._listeners: set[asyncio.Queue[ContainerEvent]] = set()

    async def info(self) -> RuntimeInfo:
        return RuntimeInfo("simulated", "1.0.0", ready=True, handlers=(Handler(),), strict_groups=True)

    async def run_sandbox(self, spec: SandboxSpec) -> str:
        identifier = self._new_id(spec.pod_uid)
        self._sandboxes[identifier] = Sandbox(
            identifier,
            spec.pod_uid,
            spec.name,
            spec.namespace,
            spec.attempt,
            ready=True,
            created_at=self._clock.now(),
            netns="" if spec.security.host_network else f"/simulated/{identifier}",
            labels=spec.labels,
            annotations=spec.annotations,
        )
        return identifier

    async def stop_sandbox(self, sandbox: str) -> None:
        found = self._sandboxes.get(sandbox)
        if found is None:
            return
        for container in [each for each in self._containers.values() if each.sandbox == sandbox]:
            self._exit(container.id, 137)
        self._sandboxes[sandbox] = msgspec.structs.replace(found, ready=False)

    async def remove_sandbox(self, sandbox: str) -> None:
        await self.stop_sandbox(sandbox)
        for container in [each for each in self._containers.values() if each.sandbox == sandbox]:
            del self._containers[container.id]
        self._sandboxes.pop(sandbox, None)

    async def sandboxes(self, pod_uid: str | None = None) -> Sequence[Sandbox]:
        return [each for each in self._sandboxes.values() if pod_uid in (None, each.pod_uid)]

    async def sandbox(self, sandbox: str) -> Sandbox:
        found = self._sandboxes.get(sandbox)
        if found is None:
            raise NotFound(f"sandbox {sandbox} not found")
        return found

    async def create_container(self, sandbox: str, spec: ContainerSpec) -> str:
        owner = await self.sandbox(sandbox)
        if not owner.ready:
            raise CreateFailed(f"sandbox {sandbox} is not ready")
        identifier = self._new_id(owner.pod_uid)
        self._containers[identifier] = Container(
            identifier,
            sandbox,
            owner.pod_uid,
            spec.name,
            spec.attempt,
            State.CREATED,
            image=spec.user_image or spec.image,
            image_id=spec.image,
            created_at=self._clock.now(),
            log_path=spec.log_path,
            labels=spec.labels,
            annotations=spec.annotations,
        )
        return identifier

    async def start_container(self, container: str) -> None:
        found = self._found(container)
        if found.state is not State.CREATED:
            raise CreateFailed(f"container {container} is {found.state.value}")
        started = msgspec.structs.replace(found, state=State.RUNNING, started_at=self._clock.now())
        self._containers[container] = started
        said = self._sandboxes[found.sandbox].annotations
        after = said.get(f"{PREFIX}exit-after.{found.name}", said.get(f"{PREFIX}exit-after", ""))
        code = said.get(f"{PREFIX}exit-code.{found.name}", said.get(f"{PREFIX}exit-code", "0"))
        if INIT_LABEL in found.labels:
            after = said.get(f"{PREFIX}exit-after.{found.name}", "0")
            code = said.get(f"{PREFIX}exit-code.{found.name}", "0")
        self._tell(started)
        if after:
            self._exits[container] = asyncio.create_task(
                self._exit_later(container, float(after), int(code)), name=f"exit of {container}"
            )

    async def stop_container(self, container: str, *, grace: float, signal: str = "") -> None:
        if container in self._containers:
            self._exit(container, 137 if grace <= 0 else 0)

    async def remove_container(self, container: str) -> None:
        await self.stop_container(container, grace=0)
        self._containers.pop(container, None)

    async def containers(self, pod_uid: str | None = None) -> Sequence[Container]:
        return [each for each in self._containers.values() if pod_uid in (None, each.pod_uid)]

    async def update_container(self, container: str, resources: Resources) -> None:
        self._found(container)

    async def exec_sync(self, container: str, command: Sequence[str], *, timeout: float) -> ExecResult:
        self._found(container)
        return ExecResult(0, b"")

    async def exec(
        self, container: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> ExecStreams:
        self._found(container)
        return _NoProcess()

    async def attach(self, container: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> ExecStreams:
        self._found(container)
        return _NoProcess()

    async def reopen_log(self, container: str) -> None:
        self._found(container)

    async def usage(self) -> Sequence[ContainerUsage]:
        now = self._clock.now()
        return [
            ContainerUsage(each.id, each.pod_uid, each.name, now)
            for each in self._containers.values()
            if each.state is State.RUNNING
        ]

    async def images(self) -> Sequence[Image]:
        return list(self._images.values())

    async def image(self, reference: str) -> Image | None:
        return self._images.get(reference)

    async def pull_image(self, reference: str, *, auth: Auth | None = None, known_as: str = "") -> Image:
        if "missing" in reference:
            raise ImagePullFailed(f'failed to pull and unpack image "{reference}": not found')
        digest = "sha256:" + hashlib.sha256(reference.encode()).hexdigest()
        reference = known_as or reference
        image = Image(digest, (reference,), (f"{reference}@{digest}",), size=1_000_000)
        self._images[reference] = image
        return image

    async def remove_image(self, image: str) -> None:
        for reference in [name for name, each in self._images.items() if image in (name, each.id)]:
            del self._images[reference]

    async def image_tree(self, reference: str, *, name: str, pod_uid: str) -> Sequence[TreeMount]:
        return ()

    async def drop_image_trees(self, keep: frozenset[str]) -> None:
        return None

    async def reclaim(self) -> None:
        return None

    async def import_archive(self, path: str) -> Sequence[str]:
        return ()

    async def events(self) -> AsyncIterator[ContainerEvent]:
        queue: asyncio.Queue[ContainerEvent] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    def _new_id(self, seed: str) -> str:
        return hashlib.sha256(f"{seed}/{next(self._ids)}/{id(self)}".encode()).hexdigest()

    def _found(self, container: str) -> Container:
        found = self._containers.get(container)
        if found is None:
            raise NotFound(f"container {container} not found")
        return found

    async def _exit_later(self, container: str, seconds: float, code: int) -> None:
        await self._clock.sleep(seconds)
        self._exits.pop(container, None)
        self._exit(container, code)

    def _exit(self, container: str, code: int) -> None:
        timer = self._exits.pop(container, None)
        if timer is not None:
            timer.cancel()
        found = self._containers.get(container)
        if found is None or found.state is State.EXITED:
            return
        now = self._clock.now()
        exited = msgspec.structs.replace(
            found,
            state=State.EXITED,
            started_at=found.started_at or now,
            finished_at=now,
            exit_code=code,
            reason="Completed" if code == 0 else "Error",
        )
        self._containers[container] = exited
        self._tell(exited)

    def _tell(self, container: Container) -> None:
        for queue in self._listeners:
            queue.put_nowait(ContainerEvent(container.pod_uid, container.id))


class _NoProcess:
    """An exec that ends at once with success."""

    async def read(self, stream: int) -> bytes:
        return b""

    async def write(self, data: bytes) -> None:
        return

    async def close_stdin(self) -> None:
        return

    async def resize(self, width: int, height: int) -> None:
        return

    async def wait(self) -> int:
        return 0

    async def close(self) -> None:
        return


class SimulatedNetwork:
    """Hands out the addresses of the pod range in turn; nothing is reachable."""

    def __init__(self) -> None:
        self._attachments: dict[str, Attachment] = {}
        self._network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
        self._next = 2

    async def start(self, pod_cidr: str) -> None:
        self._network = ipaddress.ip_network(pod_cidr)

    async def attach(self, pod_uid: str, netns: str, *, ports: Sequence[PortMapping] = ()) -> Attachment:
        if pod_uid not in self._attachments:
            self._attachments[pod_uid] = Attachment(pod_uid, (self._free(),), netns, "")
        return self._attachments[pod_uid]

    async def detach(self, pod_uid: str) -> None:
        self._attachments.pop(pod_uid, None)

    async def keep_only(self, pod_uids: frozenset[str]) -> None:
        for uid in self._attachments.keys() - pod_uids:
            del self._attachments[uid]

    def attachment(self, pod_uid: str) -> Attachment | None:
        return self._attachments.get(pod_uid)

    def _free(self) -> str:
        if self._network is None:
            raise AddressesExhausted("the node has no pod range yet")
        used = {ip for each in self._attachments.values() for ip in each.ips}
        size = self._network.num_addresses
        for _ in range(size - 3):
            candidate = str(self._network[self._next])
            self._next = self._next + 1 if self._next < size - 2 else 2
            if candidate not in used:
                return candidate
        raise AddressesExhausted(f"no free address in {self._network}")
