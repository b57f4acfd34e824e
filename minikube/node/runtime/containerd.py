"""A containerd of our own: its configuration, start, adoption by a later start, restart when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import grpc.aio

from minikube.node.host import HostRecord
from minikube.node.runtime.images import PAUSE_IMAGE, ImageStore, pause_bundle
from minikube.settings import Settings, SettingsError

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
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{root}/cni/bin"
  conf_dir = "{root}/cni/conf"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{run}/runc"
"""
_CONFLIST = (
    '{"cniVersion":"0.4.0","name":"agent","plugins":[{"type":"agent",'
    '"ips":[{"version":"4","address":"127.1.1.1/32"}],"dns":{}}]}'
)


class Containerd:
    """Pods survive our restarts: containerd lives in a session of its own and is adopted by its pid file."""

    def __init__(self, settings: Settings) -> None:
        self._host = HostRecord(settings)
        self.root = settings.agent_dir / "containerd"
        self.run_dir = settings.run_dir / "containerd"

    @property
    def endpoint(self) -> str:
        return f"unix://{self.run_dir}/containerd.sock"

    async def start(self) -> None:
        """Returns when CRI can answer and the sandbox image is there. Raises SettingsError."""
        await asyncio.to_thread(self._spawn)
        async with grpc.aio.insecure_channel(self.endpoint) as channel:
            try:
                await asyncio.wait_for(channel.channel_ready(), 30)
            except TimeoutError:
                raise SettingsError(f"containerd does not answer; see {self.root}/containerd.log") from None
            await ImageStore(channel).add(pause_bundle())

    async def run(self) -> None:
        """Starts it again when it has died; never returns, leaves it running when cancelled."""
        while True:
            if self._alive() is None:
                await self.start()
            await asyncio.sleep(1)

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

    def _spawn(self) -> None:
        if self._alive() is not None:
            return
        binary, cat = shutil.which("containerd"), shutil.which("cat")
        if binary is None or cat is None or shutil.which("runc") is None:
            raise SettingsError("containerd and runc are needed on this node: apt-get install containerd runc")
        self._host.before_start()
        for directory in (self.root / "cni/bin", self.root / "cni/conf", self.run_dir):
            directory.mkdir(parents=True, exist_ok=True)
        config = self.root / "config.toml"
        config.write_text(_CONFIG.format(root=self.root, run=self.run_dir, pause=PAUSE_IMAGE))
        (self.root / "cni/conf/10-agent.conflist").write_text(_CONFLIST)
        for plugin in ("agent", "loopback"):
            script = self.root / "cni/bin" / plugin
            script.write_text(f"#!/bin/sh\nexec {cat}\n")
            script.chmod(0o755)
        with (self.root / "containerd.log").open("ab") as log:
            process = subprocess.Popen(
                [binary, "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.run_dir / "pid").write_text(str(process.pid))
