"""The agent's specs as CRI messages, and CRI's answers in the agent's words: pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cri_api.v1 import api_pb2

from minikube.node.runtime.base import (
    USER_IDS,
    Container,
    ContainerSpec,
    ContainerUsage,
    Handler,
    Image,
    Mount,
    Resources,
    Sandbox,
    SandboxSpec,
    SecurityContext,
    State,
    User,
)

cri: Any = api_pb2
"""Untyped on purpose: the stubs know enums only by a private type."""

_MASKED = (
    *(
        f"/proc/{name}"
        for name in ("asound", "acpi", "kcore", "keys", "latency_stats", "timer_list", "timer_stats")
    ),
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_READ_ONLY = tuple(f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger"))
_STATES = (State.CREATED, State.RUNNING, State.EXITED, State.UNKNOWN)
_PROPAGATION = {"": 0, "None": 0, "HostToContainer": 1, "Bidirectional": 2}


def profile(text: str) -> Any:
    """A seccomp or AppArmor profile: runtime/default, localhost/<path or name>, anything else unconfined."""
    if text == "runtime/default":
        return cri.SecurityProfile(profile_type=0)
    if text.startswith("localhost/"):
        return cri.SecurityProfile(profile_type=2, localhost_ref=text.removeprefix("localhost/"))
    return cri.SecurityProfile(profile_type=1)


def namespaces(security: SecurityContext) -> Any:
    """NamespaceMode: POD 0, CONTAINER 1, NODE 2, TARGET 3."""
    pid = 2 if security.host_pid else 0 if security.share_process_namespace else 1
    if security.target_container:
        pid = 3
    return cri.NamespaceOption(
        network=2 if security.host_network else 0,
        pid=pid,
        ipc=2 if security.host_ipc else 0,
        target_id=security.target_container,
        userns_options=cri.UserNamespace(
            mode=0 if security.first_user else 2, uids=_mapped(security), gids=_mapped(security)
        ),
    )


def _mapped(security: SecurityContext) -> Any:
    """From the pod's ids to the host's; empty: they are the same."""
    if not security.first_user:
        return []
    return [cri.IDMapping(container_id=0, host_id=security.first_user, length=USER_IDS)]


def resources(wanted: Resources) -> Any:
    return cri.LinuxContainerResources(
        cpu_period=wanted.cpu_period,
        cpu_quota=wanted.cpu_quota,
        cpu_shares=wanted.cpu_shares,
        memory_limit_in_bytes=wanted.memory_limit,
        oom_score_adj=wanted.oom_score_adj,
        cpuset_cpus=wanted.cpuset_cpus,
        hugepage_limits=[cri.HugepageLimit(page_size=k, limit=v) for k, v in wanted.hugepages.items()],
        unified=dict(wanted.unified),
    )


def sandbox_config(spec: SandboxSpec) -> Any:
    security = spec.security
    context = cri.LinuxSandboxSecurityContext(
        namespace_options=namespaces(security),
        privileged=security.privileged,
        supplemental_groups=security.supplemental_groups,
        seccomp=profile(security.seccomp),
    )
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=spec.name, uid=spec.pod_uid, namespace=spec.namespace, attempt=spec.attempt
        ),
        hostname="" if security.host_network else spec.hostname,
        log_directory=spec.log_directory,
        dns_config=cri.DNSConfig(servers=spec.dns_servers, searches=spec.dns_searches, options=spec.dns_options),
        labels=dict(spec.labels),
        annotations=dict(spec.annotations),
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=spec.cgroup_parent,
            sysctls=dict(spec.sysctls),
            security_context=context,
            resources=resources(spec.resources),
        ),
    )


def container_config(spec: ContainerSpec) -> Any:
    security = spec.security
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=spec.name, attempt=spec.attempt),
        image=cri.ImageSpec(image=spec.image, user_specified_image=spec.user_image),
        command=spec.command,
        args=spec.args,
        working_dir=spec.working_dir,
        envs=[cri.KeyValue(key=key, value=value) for key, value in spec.env],
        mounts=[_mount(mount, security) for mount in spec.mounts],
        devices=[
            cri.Device(
                container_path=device.container_path,
                host_path=device.host_path,
                permissions=device.permissions,
            )
            for device in spec.devices
        ],
        CDI_devices=[cri.CDIDevice(name=name) for name in spec.cdi_devices],
        labels=dict(spec.labels),
        annotations=dict(spec.annotations),
        log_path=spec.log_path,
        stdin=spec.stdin,
        stdin_once=spec.stdin_once,
        tty=spec.tty,
        stop_signal=spec.stop_signal or "RUNTIME_DEFAULT",
        linux=cri.LinuxContainerConfig(
            resources=resources(spec.resources), security_context=_container_security(security)
        ),
    )


def _container_security(security: SecurityContext) -> Any:
    context = cri.LinuxContainerSecurityContext(
        capabilities=cri.Capability(
            add_capabilities=security.add_capabilities, drop_capabilities=security.drop_capabilities
        ),
        privileged=security.privileged,
        namespace_options=namespaces(security),
        run_as_username=security.run_as_username,
        readonly_rootfs=security.read_only_root_filesystem,
        supplemental_groups=security.supplemental_groups,
        supplemental_groups_policy=1 if security.supplemental_groups_policy == "Strict" else 0,
        no_new_privs=security.no_new_privileges,
        seccomp=profile(security.seccomp),
    )
    if security.apparmor:
        context.apparmor.CopyFrom(profile(security.apparmor))
    if security.run_as_user is not None:
        context.run_as_user.value = security.run_as_user
    if security.run_as_group is not None:
        context.run_as_group.value = security.run_as_group
    if security.masked_paths and not security.privileged:
        context.masked_paths.extend(_MASKED)
        context.readonly_paths.extend(_READ_ONLY)
    return context


def _mount(mount: Mount, security: SecurityContext) -> Any:
    return cri.Mount(
        container_path=mount.container_path,
        host_path=mount.host_path,
        readonly=mount.read_only,
        propagation=_PROPAGATION[mount.propagation],
        recursive_read_only=mount.recursive_read_only,
        uidMappings=_mapped(security),
        gidMappings=_mapped(security),
    )


def moment(nanoseconds: int) -> datetime | None:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC) if nanoseconds else None


def sandbox(found: Any, netns: str = "") -> Sandbox:
    return Sandbox(
        id=found.id,
        pod_uid=found.metadata.uid,
        name=found.metadata.name,
        namespace=found.metadata.namespace,
        attempt=found.metadata.attempt,
        ready=found.state == 0,
        created_at=datetime.fromtimestamp(found.created_at / 1e9, UTC),
        netns=netns,
        labels=dict(found.labels),
        annotations=dict(found.annotations),
    )


def container(status: Any, sandbox_id: str, pod_uid: str) -> Container:
    return Container(
        id=status.id,
        sandbox=sandbox_id,
        pod_uid=pod_uid,
        name=status.metadata.name,
        attempt=status.metadata.attempt,
        state=_STATES[status.state],
        image=status.image.image,
        image_id=status.image_ref,
        created_at=moment(status.created_at),
        started_at=moment(status.started_at),
        finished_at=moment(status.finished_at),
        exit_code=status.exit_code,
        reason=status.reason,
        message=status.message,
        log_path=status.log_path,
        labels=dict(status.labels),
        annotations=dict(status.annotations),
        stop_signal=stop_signal(status),
        user=_user(status.user.linux) if status.HasField("user") and status.user.HasField("linux") else None,
    )


def stop_signal(status: Any) -> str:
    """Of a container's status; empty: it does not tell (containerd before 2.1)."""
    return str(cri.Signal.Name(status.stop_signal)) if status.stop_signal else ""


def _user(linux: Any) -> User:
    return User(linux.uid, linux.gid, tuple(linux.supplemental_groups))


def handler(found: Any) -> Handler:
    return Handler(
        name=found.name,
        recursive_read_only=found.features.recursive_read_only_mounts,
        user_namespaces=found.features.user_namespaces,
    )


def image(found: Any) -> Image:
    user = str(found.uid.value) if found.HasField("uid") else found.username
    return Image(
        id=found.id,
        tags=tuple(found.repo_tags),
        digests=tuple(found.repo_digests),
        size=found.size,
        user=user,
        pinned=found.pinned,
    )


def usage(found: Any, pod_uid: str) -> ContainerUsage:
    return ContainerUsage(
        container=found.attributes.id,
        pod_uid=pod_uid,
        name=found.attributes.metadata.name,
        at=moment(found.cpu.timestamp) or datetime.now(UTC),
        cpu_nanoseconds=found.cpu.usage_core_nano_seconds.value,
        memory_working_set=found.memory.working_set_bytes.value,
        memory_rss=found.memory.rss_bytes.value,
        memory_usage=found.memory.usage_bytes.value,
        writable_layer=found.writable_layer.used_bytes.value,
        writable_inodes=found.writable_layer.inodes_used.value,
    )
