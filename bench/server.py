"""Start of a server to the API answering; once settled, its memory and what it writes and burns in a minute."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import yaml

PORT = 26443
SETTLED_AFTER = 30
REST_SECONDS = 60


async def run() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        environment = {
            **os.environ,
            "MINIKUBE_DATA_DIR": str(root / "data"),
            "MINIKUBE_RUN_DIR": str(root / "run"),
            "MINIKUBE_WRITE_KUBECONFIG": str(root / "kubeconfig"),
            "MINIKUBE_HTTPS_LISTEN_PORT": str(PORT),
        }
        for label in ("first start", "start"):
            began = time.perf_counter()
            process = subprocess.Popen([sys.executable, "-m", "minikube", "server", "--simulate"], env=environment)
            try:
                await _answers(root / "kubeconfig")
                print(f"server: {label} to API answering {time.perf_counter() - began:.2f} s")
                if label == "start":
                    await _get_rate(root / "kubeconfig")
                    await asyncio.sleep(SETTLED_AFTER)
                    await _rest(process.pid)
            finally:
                process.terminate()
                process.wait()


async def opened(kubeconfig: Path, port: int = PORT) -> aiohttp.ClientSession:
    user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
    pair = kubeconfig.parent / "pair.pem"
    pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(pair)
    return aiohttp.ClientSession(f"https://127.0.0.1:{port}", connector=aiohttp.TCPConnector(ssl=context))


async def _answers(kubeconfig: Path) -> None:
    while True:
        try:
            async with await opened(kubeconfig) as session, session.get("/readyz") as response:
                if response.status == 200:
                    return
        except (OSError, aiohttp.ClientError):
            await asyncio.sleep(0.02)


async def _get_rate(kubeconfig: Path) -> None:
    count = 4000
    async with await opened(kubeconfig) as session:

        async def get() -> None:
            for _ in range(count // 16):
                async with session.get("/api/v1/namespaces/default") as response:
                    await response.read()

        began = time.perf_counter()
        await asyncio.gather(*(get() for _ in range(16)))
        print(f"server: {count / (time.perf_counter() - began):,.0f} GET/s over TLS (client on the other core)")


async def _rest(pid: int) -> None:
    def reading() -> tuple[float, int]:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        burnt = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return burnt, int(io["write_bytes"])

    before = reading()
    await asyncio.sleep(REST_SECONDS)
    after = reading()
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    share = (after[0] - before[0]) / REST_SECONDS
    print(
        f"server at rest: RSS {int(memory) / 1024:.0f} MB, {share:.2%} of a core, "
        f"{after[1] - before[1]} bytes written in {REST_SECONDS} s"
    )
