"""Volumes that show the files of an image, in real containers."""

from __future__ import annotations

import pytest

from tests.images import debian_archive
from tests.machines import Machine
from tests.node.pods import Namespace, pod

pytestmark = pytest.mark.node


def volume(reference: str, policy: str = "IfNotPresent") -> dict[str, object]:
    return {"name": "files", "image": {"reference": reference, "pullPolicy": policy}}


def views(machine: Machine, uid: str) -> list[str]:
    """Snapshots of containerd's that were made for volumes of this pod."""
    address = str(machine.root / "run/containerd/containerd.sock")
    listed = machine.run("ctr", "--address", address, "--namespace", "k8s.io", "snapshots", "ls").stdout
    return [line for line in listed.splitlines() if line.startswith(uid)]


def test_a_container_reads_an_images_files_and_cannot_write_there(machine: Machine, ns: Namespace) -> None:
    archive = machine.root / "files.tar"
    debian_archive(archive, "files:test", ["hostname"], {"etc/told": "hello"})
    machine.minikube("image", "load", str(archive))
    mounts = [{"name": "files", "mountPath": "/files"}]
    script = "cat /files/etc/told; echo; ls /files/bin/hostname; touch /files/new 2>&1; sleep 3600"
    ns.apply(pod("reads", script, volumes=[volume("files:test")], mounts=mounts))
    ns.running("reads")
    machine.wait(lambda: "touch" in ns.kubectl("logs", "reads"))
    assert ns.kubectl("logs", "reads") == ("hello\n/files/bin/hostname\ntouch: /files/new: Read-only file system\n")
    uid = ns.get("pod", "reads")["metadata"]["uid"]
    assert uid in machine.run("cat", "/proc/self/mounts").stdout
    assert views(machine, uid)
    part = [{"name": "files", "mountPath": "/files", "subPath": "etc"}]
    ns.apply(pod("part", "cat /files/told", volumes=[volume("files:test")], mounts=part))
    assert ns.output("part") == "hello"
    ns.kubectl("delete", "pod", "reads", "part")
    machine.wait(lambda: uid not in machine.run("cat", "/proc/self/mounts").stdout)
    assert not views(machine, uid)


def test_an_image_volume_that_is_not_there_is_told_as_a_containers_image_is(ns: Namespace) -> None:
    mounts = [{"name": "files", "mountPath": "/files"}]
    ns.apply(pod("waits", "sleep 3600", volumes=[volume("absent:test", "Never")], mounts=mounts))

    def reason() -> str:
        path = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
        return ns.kubectl("get", "pod", "waits", "-o", path)

    ns.machine.wait(lambda: reason() == "ErrImageNeverPull")
