"""A containerd of our own: its configuration, start, adoption by a later start, restart when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
from pathlib import Path

import grpc.aio

from minikube.node.host.facts import HostRecord
from minikube.node.runtime.base import Unavailable
from minikube.node.runtime.channel import fault_of, opened
from minikube.node.runtime.demo import pause_bundle
from minikube.node.runtime.images import ImageStore
from minikube.node.runtime.pause import PAUSE_IMAGE
from minikube.node.runtime.registries import Registries
from minikube.settings import Settings, SettingsError

log = logging.getLogger(__name__)
ROTATE_EVERY = 60.0
MAX_LOG = 10 << 20
"""Bytes; one older file is kept."""
_CONFIG = """version = 2
root = "{root}"
state = "{run}/state"
disabled_plugins = ["io.containerd.internal.v1.tracing"]
[grpc]
  address = "{run}/containerd.sock"
[ttrpc]
  address = "{run}/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  enable_cdi = true
  disable_hugetlb_controller = false
  tolerate_missing_hugetlb_controller = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{root}/cni/bin"
  conf_dir = "{root}/cni/conf"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{root}/certs.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{run}/runc"
"""
_CONFLIST = (
    '{"cniVersion":"0.4.0","name":"agent","plugins":[{"type":"agent",'
    '"ips":[{"version":"4","address":"127.1.1.1/32"}],"dns":{}}]}'
)

READY_WITHIN = 120.0
"""Seconds; with a hundred dead pods to take in after a reboot it needs some thirty."""


async def _recovered(channel: grpc.aio.Channel) -> None:
    """Until CRI has taken in what it finds: it listens before, and refuses every call."""
    status = channel.unary_unary("/runtime.v1.RuntimeService/Status")
    while True:
        try:
            await status(b"")
        except grpc.aio.AioRpcError as error:
            if not isinstance(fault_of(error), Unavailable):
                raise
        else:
            return
        await asyncio.sleep(0.2)


class Containerd:
    """Pods survive our restarts: containerd lives in a session of its own and is adopted by its pid file."""

    def __init__(self, settings: Settings) -> None:
        self._host, self._registries = HostRecord(settings), Registries.load(settings)
        self.root = settings.agent_dir / "containerd"
        self.run_dir = settings.run_dir / "containerd"

    @property
    def _log(self) -> Path:
        return self.root / "containerd.log"

    @property
    def endpoint(self) -> str:
        return f"unix://{self.run_dir}/containerd.sock"

    async def start(self) -> None:
        """Returns when CRI can answer and the sandbox image is there. Raises SettingsError."""
        await asyncio.to_thread(self.launch)
        async with opened(self.endpoint) as channel:
            try:
                async with asyncio.timeout(READY_WITHIN):
                    await channel.channel_ready()
                    await _recovered(channel)
            except TimeoutError:
                raise SettingsError(f"containerd does not answer; see {self._log}") from None
            await ImageStore(channel).add(pause_bundle())

    async def run(self) -> None:
        """Starts it again when it has died; never returns, leaves it running when cancelled."""
        while True:
            pid = self._alive()
            if pid is None:
                log.warning("containerd is gone, starting it again")
                await self.start()
                continue
            async with asyncio.TaskGroup() as group:
                rotating = group.create_task(self._rotate(), name="containerd log")
                await exit_of(pid)
                rotating.cancel()

    async def _rotate(self) -> None:
        while True:
            await asyncio.to_thread(rotate, self._log, MAX_LOG)
            await asyncio.sleep(ROTATE_EVERY)

    async def uninstall(self) -> None:
        """Stop the daemon and forget its sockets; containers must have been removed before."""
        pid = self._alive()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                if self._alive() is None:
                    break
                await asyncio.sleep(0.1)
            else:
                os.kill(pid, signal.SIGKILL)
        (self.run_dir / "pid").unlink(missing_ok=True)

    def _alive(self) -> int | None:
        try:
            pid = int((self.run_dir / "pid").read_text())
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.root).encode() in command else None

    def launch(self) -> None:
        """Start the daemon unless it runs, without waiting for it. Blocking; raises SettingsError."""
        if self._alive() is not None:
            return
        binary, cat = shutil.which("containerd"), shutil.which("cat")
        if binary is None or cat is None or shutil.which("runc") is None:
            raise SettingsError("containerd and runc are needed on this node: apt-get install containerd runc")
        self._host.before_start()
        for directory in (self.root / "cni/bin", self.root / "cni/conf", self.run_dir):
            directory.mkdir(parents=True, exist_ok=True)
        self._registries.write(self.root / "certs.d")
        config = self.root / "config.toml"
        config.write_text(_CONFIG.format(root=self.root, run=self.run_dir, pause=PAUSE_IMAGE))
        (self.root / "cni/conf/10-agent.conflist").write_text(_CONFLIST)
        for plugin in ("agent", "loopback"):
            script = self.root / "cni/bin" / plugin
            script.write_text(f"#!/bin/sh\nexec {cat}\n")
            script.chmod(0o755)
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                [binary, "--config", str(config)],
                env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},  # it is ours
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        (self.run_dir / "pid").write_text(str(process.pid))


async def exit_of(pid: int) -> None:
    """Returns when the process is over, whoever its parent is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def rotate(path: Path, limit: int) -> None:
    """Copy and truncate, since the process that appends to the file keeps it open. Blocking."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > limit:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)
