"""Pods on a machine with real containers: accepted to Running (image present), and 30 replicas to Ready.

Needs root and containerd; the machine is a network namespace of its own (tests/machines.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from bench.server import opened
from tests.machines import Network

PODS, REPLICAS = 20, 30
CONTAINER = {"name": "c", "image": "docker.io/library/busybox:test", "command": ["sleep", "600"]}


async def run() -> None:
    with Network(f"b{os.getpid()}") as network:
        machine = network.machine()
        machine.serve()
        done = subprocess.run(
            [*machine.enter, sys.executable, "-m", "bench.pods", str(machine.kubeconfig)],
            env=machine.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        print(done.stdout, end="")


async def measure(kubeconfig: Path) -> None:
    async with await opened(kubeconfig, 6443) as client:
        await _one_by_one(client)
        await _deployment(client)


async def _one_by_one(client: aiohttp.ClientSession) -> None:
    took = []
    for number in range(PODS):
        pod = {
            "metadata": {"name": f"p{number}"},
            "spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": 0},
        }
        async with client.post("/api/v1/namespaces/default/pods", json=pod) as answer:
            created = await answer.json()
        accepted = time.perf_counter()
        await _until(client, f"fieldSelector=metadata.name=p{number}", created, _running)
        took.append(time.perf_counter() - accepted)
        await client.delete(f"/api/v1/namespaces/default/pods/p{number}?gracePeriodSeconds=0")
        await asyncio.sleep(0.5)
    took.sort()
    median, worst = statistics.median(took), took[-1]
    print(f"pod, image present: accepted to Running {median:.3f} s (median), {worst:.3f} s (worst)")


async def _until(client: aiohttp.ClientSession, query: str, after: dict[str, Any], holds: Any) -> None:
    version = after["metadata"]["resourceVersion"]
    path = f"/api/v1/namespaces/default/pods?watch=1&resourceVersion={version}&{query}"
    async with client.get(path) as events:
        async for line in events.content:
            if holds(json.loads(line)["object"]):
                return


def _running(pod: dict[str, Any]) -> bool:
    return bool(pod["status"].get("phase") == "Running")


async def _deployment(client: aiohttp.ClientSession) -> None:
    labels = {"app": "many"}
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": 0},
        },
    }
    body = {"metadata": {"name": "many"}, "spec": spec}
    began = time.perf_counter()
    async with client.post("/apis/apps/v1/namespaces/default/deployments", json=body) as answer:
        created = await answer.json()
    ready: set[str] = set()

    def all_ready(pod: dict[str, Any]) -> bool:
        conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
        if conditions.get("Ready") == "True":
            ready.add(pod["metadata"]["name"])
        return len(ready) == REPLICAS

    await _until(client, "labelSelector=app=many", created, all_ready)
    print(f"deployment of {REPLICAS}: created to all Ready {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    asyncio.run(measure(Path(sys.argv[1])))
