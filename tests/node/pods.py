"""Pods of busybox in a namespace of the test's own, and what can be seen of them from outside."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.machines import Machine, sh

IMAGE = "busybox:test"
STILL = "exec sleep 3600"

Tree = dict[str, Any]


def pod(name: str, *scripts: str, volumes: Sequence[Any] = (), mounts: Sequence[Any] = (), **spec: Any) -> Tree:
    """One container for each script, all with the same mounts; it ends with them."""
    uid = {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    containers = [
        {
            "name": f"c{index}",
            "image": IMAGE,
            "imagePullPolicy": "Never",
            "command": ["sh", "-c", script],
            "env": [uid],
            "volumeMounts": list(mounts),
        }
        for index, script in enumerate(scripts)
    ]
    given = {"containers": containers, "volumes": list(volumes), "restartPolicy": "Never"}
    given |= {"terminationGracePeriodSeconds": 0, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": given}


def config_map(name: str, data: Mapping[str, str], **more: Any) -> Tree:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data), **more}


def secret(name: str, data: Mapping[str, str]) -> Tree:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(data)}


class Namespace:
    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name
        machine.kubectl("create", "namespace", name)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self.machine.kubectl("-n", self.name, *arguments, stdin=stdin)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, kind: str, name: str) -> Any:
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def phase(self, name: str) -> str:
        return self.kubectl("get", "pod", name, "-o", "jsonpath={.status.phase}")

    def running(self, *names: str) -> None:
        for name in names:
            self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=40s")

    def output(self, name: str, container: str = "c0") -> str:
        """What a pod that ends by itself has printed; its failure fails the test."""
        self.machine.wait(lambda: self.phase(name) in ("Succeeded", "Failed"), 40)
        uid = self.get("pod", name)["metadata"]["uid"]
        printed = said(self.machine.root / "logs" / f"{self.name}_{name}_{uid}" / container / "0.log")
        assert self.phase(name) == "Succeeded", printed
        return printed

    def waiting(self, name: str) -> tuple[str, str]:
        """Reason and message of the first container that waits."""
        [status, *_] = self.get("pod", name)["status"].get("containerStatuses") or [{}]
        waiting = status.get("state", {}).get("waiting", {})
        return waiting.get("reason", ""), waiting.get("message", "")

    def events(self, name: str) -> list[tuple[str, str]]:
        listed = self.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}", "-o", "json")
        return [(event["reason"], event["message"]) for event in json.loads(listed)["items"]]

    def told(self, name: str, reason: str, message: str) -> None:
        """Wait for such an event."""
        self.machine.wait(lambda: (reason, message) in self.events(name), 30)

    def directory(self, name: str) -> Path:
        """Of a pod, below the agent's data directory."""
        return self.machine.root / "data/agent/pods" / self.get("pod", name)["metadata"]["uid"]

    def inside(self, name: str, script: str) -> str:
        """Run in the mount namespace of a running pod's first container, as root."""
        uid = self.get("pod", name)["metadata"]["uid"]
        pid = next(_processes(f"POD_UID={uid}"))
        return sh("nsenter", "-t", str(pid), "-m", "-r", "/bin/sh", "-c", script).stdout

    def seen(self, name: str, script: str, expected: str) -> None:
        """Wait until a command in the pod prints exactly this."""
        self.machine.wait(lambda: self.inside(name, script) == expected, 15)

    def close(self) -> None:
        self.machine.kubectl("delete", "namespace", self.name, "--wait=false")


def said(log: Path) -> str:
    """The text of a container's log in CRI's format: time, stream, F (full) or P (partial), text."""
    lines = [line.split(" ", 3) for line in log.read_text().splitlines()]
    return "".join(text + ("\n" if tag == "F" else "") for _, _, tag, text in lines)


def _processes(variable: str) -> Iterator[int]:
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda one: int(one.name)):
        with contextlib.suppress(OSError):
            if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
