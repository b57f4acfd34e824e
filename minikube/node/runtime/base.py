"""The Runtime protocol: what the agent asks of a container runtime, in the agent's own words.

Implementations: `cri.CriRuntime` (containerd over CRI) and `simulated.SimulatedRuntime` (runs nothing, tells
the truth about lifecycle). One contract suite runs over both. Stop and remove are idempotent: what is already
gone is a success.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

POD_UID_LABEL = "io.kubernetes.pod.uid"
"""Everything that is made for a pod carries its uid in this label."""
USER_IDS = 65_536
"""How many user ids, and group ids, a pod with a user namespace of its own has."""


class RuntimeFault(Exception):
    """Base of what a runtime can answer; `message` is fit for a container status or an event."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unavailable(RuntimeFault):
    """No answer from the runtime; the call may or may not have happened."""


class NotFound(RuntimeFault):
    """The sandbox, container or image does not exist."""


class ImagePullFailed(RuntimeFault):
    """Reason ErrImagePull."""


class CreateFailed(RuntimeFault):
    """Reason CreateContainerError / RunContainerError / CreatePodSandboxError; the message is the runtime's."""


class Mount(msgspec.Struct, frozen=True):
    host_path: str
    container_path: str
    read_only: bool = False
    recursive_read_only: bool = False
    propagation: str = ""
    """"", HostToContainer or Bidirectional."""
    no_exec: bool = False
    """Nothing in it can be run (nor does it raise privileges, or open devices)."""


class TreeMount(msgspec.Struct, frozen=True):
    """What mount(8) needs to show the files of an image."""

    kind: str
    """bind or overlay."""
    source: str
    options: tuple[str, ...] = ()


class Device(msgspec.Struct, frozen=True):
    """A device of the host that the container may use under a path of its own."""

    host_path: str
    container_path: str
    permissions: str = "mrw"
    """Of mknod, read and write."""


class PortMapping(msgspec.Struct, frozen=True):
    host_ip: str
    host_port: int
    container_port: int
    protocol: str


class Resources(msgspec.Struct, frozen=True):
    """cgroup values; 0 means unset."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory_limit: int = 0
    oom_score_adj: int = 0
    cpuset_cpus: str = ""
    hugepages: Mapping[str, int] = {}
    unified: Mapping[str, str] = {}


class SecurityContext(msgspec.Struct, frozen=True):
    """The effective (pod and container merged) security context."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_username: str = ""
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: str = ""
    privileged: bool = False
    read_only_root_filesystem: bool = False
    no_new_privileges: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    seccomp: str = ""
    """"" or unconfined, runtime/default, localhost/<absolute path>."""
    apparmor: str = ""
    masked_paths: bool = True
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool = False
    target_container: str = ""
    """Container id whose PID namespace an ephemeral container joins."""
    first_user: int = 0
    """The host's user (and group) that the pod's root is in truth; the USER_IDS after it are its other users.
    0: the pod's users are the host's."""


class SandboxSpec(msgspec.Struct, frozen=True):
    pod_uid: str
    name: str
    namespace: str
    attempt: int = 0
    hostname: str = ""
    """Empty with host network."""
    log_directory: str = ""
    dns_servers: tuple[str, ...] = ()
    dns_searches: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    cgroup_parent: str = ""
    sysctls: Mapping[str, str] = {}
    security: SecurityContext = SecurityContext()
    runtime_handler: str = ""
    resources: Resources = Resources()


class ContainerSpec(msgspec.Struct, frozen=True):
    name: str
    attempt: int
    image: str
    """An image id or reference that `ensure_image` returned."""
    user_image: str = ""
    """The reference as the pod has it."""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    cdi_devices: tuple[str, ...] = ()
    """Qualified names of the Container Device Interface: vendor.example/gpu=0."""
    log_path: str = ""
    """Relative to the sandbox's log directory."""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    resources: Resources = Resources()
    security: SecurityContext = SecurityContext()
    stop_signal: str = ""


class State(enum.Enum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


class Sandbox(msgspec.Struct, frozen=True):
    id: str
    pod_uid: str
    name: str
    namespace: str
    attempt: int
    ready: bool
    created_at: datetime
    netns: str = ""
    """Path of the network namespace; empty with host network or when not known."""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class User(msgspec.Struct, frozen=True):
    uid: int
    gid: int
    supplemental_groups: tuple[int, ...] = ()


class Container(msgspec.Struct, frozen=True):
    """A container as the runtime sees it now; times are None when they have not come."""

    id: str
    """Without scheme; pod status shows `containerd://<id>`."""
    sandbox: str
    pod_uid: str
    name: str
    attempt: int
    state: State
    image: str = ""
    image_id: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    reason: str = ""
    """Completed, Error, OOMKilled, ContainerCannotRun …"""
    message: str = ""
    log_path: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    user: User | None = None
    """Whom its first process began as; None where the runtime does not tell."""
    stop_signal: str = ""
    """SIGUSR1; empty where the runtime does not tell."""


class ContainerEvent(msgspec.Struct, frozen=True):
    """Something happened in this pod: look again. `pod_uid` empty means look at everything (a gap, a relist)."""

    pod_uid: str
    container: str = ""


class ExecResult(msgspec.Struct, frozen=True):
    exit_code: int
    output: bytes
    """stdout and stderr, the first 16 KiB."""
    timed_out: bool = False


class Image(msgspec.Struct, frozen=True):
    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    user: str = ""
    """The configured user: a uid in decimal, a name, or empty."""
    pinned: bool = False


class Auth(msgspec.Struct, frozen=True):
    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    server_address: str = ""


class ContainerUsage(msgspec.Struct, frozen=True):
    """Counters of one container; cpu in nanoseconds since its start, the rest in bytes."""

    container: str
    pod_uid: str
    name: str
    at: datetime
    cpu_nanoseconds: int = 0
    memory_working_set: int = 0
    memory_rss: int = 0
    memory_usage: int = 0
    writable_layer: int = 0
    writable_inodes: int = 0
    processes: int = 0


class Handler(msgspec.Struct, frozen=True):
    """What one of the runtime's ways to run a pod can do."""

    name: str = ""
    """Empty: the default one."""
    recursive_read_only: bool = False
    """It can make a mount and all that is mounted in it read-only."""
    user_namespaces: bool = False


class RuntimeInfo(msgspec.Struct, frozen=True):
    name: str
    version: str
    ready: bool
    message: str = ""
    handlers: tuple[Handler, ...] = ()
    """Empty where the runtime does not tell (containerd before 2.0)."""
    strict_groups: bool = False
    """Containers can have the supplemental groups that the pod names, and no others."""

    def handler(self, name: str) -> Handler:
        """One that is not known can do nothing."""
        return next((each for each in self.handlers if each.name == name), Handler(name))


class ExecStreams(Protocol):
    """A running interactive process (exec or attach). Streams are plain bytes; `wait` gives the exit code."""

    async def read(self, stream: int) -> bytes:
        """The next bytes of 1 (stdout) or 2 (stderr); b"" at its end."""
        ...

    async def write(self, data: bytes) -> None:
        """To stdin; waits while the process does not read."""
        ...

    async def close_stdin(self) -> None: ...

    async def resize(self, width: int, height: int) -> None:
        """In characters."""
        ...

    async def wait(self) -> int:
        """The exit code, when it has ended."""
        ...

    async def close(self) -> None:
        """Give up: kills an exec'd process, detaches from an attached one."""
        ...


class Runtime(Protocol):
    """Raises subclasses of RuntimeFault. After Unavailable nothing is known: list and decide again."""

    @property
    def scheme(self) -> str:
        """What stands before container ids in a status: containerd, simulated."""
        ...

    async def info(self) -> RuntimeInfo: ...

    async def run_sandbox(self, spec: SandboxSpec) -> str:
        """The id of a new, ready sandbox. Networking is attached afterwards by PodNetwork."""
        ...

    async def stop_sandbox(self, sandbox: str) -> None:
        """With all that runs in it."""
        ...

    async def remove_sandbox(self, sandbox: str) -> None: ...

    async def sandboxes(self, pod_uid: str | None = None) -> Sequence[Sandbox]: ...

    async def sandbox(self, sandbox: str) -> Sandbox:
        """With its netns path. Raises NotFound."""
        ...

    async def create_container(self, sandbox: str, spec: ContainerSpec) -> str:
        """The id of a container that does not run yet. Raises NotFound, CreateFailed."""
        ...

    async def start_container(self, container: str) -> None:
        """It may have exited when this returns."""
        ...

    async def stop_container(self, container: str, *, grace: float, signal: str = "") -> None:
        """The stop signal (`signal`, such as SIGUSR1, or else the image's), then SIGKILL after `grace` seconds;
        returns when it has exited."""
        ...

    async def remove_container(self, container: str) -> None: ...

    async def containers(self, pod_uid: str | None = None) -> Sequence[Container]:
        """Fully filled in, exited ones too."""
        ...

    async def update_container(self, container: str, resources: Resources) -> None: ...

    async def exec_sync(self, container: str, command: Sequence[str], *, timeout: float) -> ExecResult:
        """`timeout` in seconds."""
        ...

    async def exec(
        self, container: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> ExecStreams: ...

    async def attach(
        self, container: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> ExecStreams: ...

    async def reopen_log(self, container: str) -> None: ...

    async def usage(self) -> Sequence[ContainerUsage]:
        """Of all running containers, measured now."""
        ...

    async def images(self) -> Sequence[Image]: ...

    async def image(self, reference: str) -> Image | None:
        """By any of its names or its id."""
        ...

    async def pull_image(self, reference: str, *, auth: Auth | None = None, known_as: str = "") -> Image:
        """`known_as`: the full name that it has here, instead of that which the registry knows it by. Raises
        ImagePullFailed with the registry's own words."""
        ...

    async def remove_image(self, image: str) -> None: ...

    async def image_tree(self, reference: str, *, name: str, pod_uid: str) -> Sequence[TreeMount]:
        """The files of an image that is here, for a volume of a pod; the same answer when asked again by `name`.
        They stay until `drop_image_trees`. Raises NotFound."""
        ...

    async def drop_image_trees(self, keep: frozenset[str]) -> None:
        """Those of all pods but these uids; nothing of them is mounted any more."""
        ...

    async def reclaim(self) -> None:
        """The disk space of removed containers and images is free when this returns; it may be so later anyway."""
        ...

    async def import_archive(self, path: str) -> Sequence[str]:
        """Load a docker-archive or OCI tar (plain, .gz or .zst); the references it brought."""
        ...

    def events(self) -> AsyncIterator[ContainerEvent]:
        """Never ends; after a gap it yields an event with an empty pod_uid."""
        ...
