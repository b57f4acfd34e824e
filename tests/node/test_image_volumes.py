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
    machine.wait(lambda: not views(machine, uid))


def test_nothing_in_an_image_volume_can_be_run_and_the_status_says_what_it_shows(
    machine: Machine, ns: Namespace
) -> None:
    archive = machine.root / "programs.tar"
    debian_archive(archive, "programs:test", ["hostname"], {"etc/told": "hello"})
    machine.minikube("image", "load", str(archive))
    mounts = [{"name": "files", "mountPath": "/files"}]
    part = {"name": "files", "mountPath": "/part", "subPath": "bin"}
    script = "/files/bin/hostname 2>&1; /part/hostname 2>&1; grep -E ' /(files|part) ' /proc/mounts; sleep 3600"
    ns.apply(pod("runs", script, volumes=[volume("programs:test")], mounts=[*mounts, part]))
    ns.running("runs")
    machine.wait(lambda: ns.kubectl("logs", "runs").count("\n") == 4)
    *refused, whole, piece = ns.kubectl("logs", "runs").splitlines()
    assert refused == ["sh: /files/bin/hostname: Permission denied", "sh: /part/hostname: Permission denied"]
    for line in (whole, piece):
        assert {"ro", "noexec", "nosuid"} <= set(line.split()[3].split(","))

    [status] = ns.get("pod", "runs")["status"]["containerStatuses"]
    shown = [
        each["volumeStatus"]["image"]["imageRef"] for each in status["volumeMounts"] if each["name"] == "files"
    ]
    same = pod("same", "")
    same["spec"]["containers"][0] |= {"image": "programs:test", "command": ["hostname"]}
    ns.apply(same)
    ns.output("same")
    image = ns.get("pod", "same")["status"]["containerStatuses"][0]["imageID"]
    assert shown == [image, image]
    machine.kill()
    machine.serve()
    [after] = ns.get("pod", "runs")["status"]["containerStatuses"]
    assert after["volumeMounts"] == status["volumeMounts"]


def test_an_image_volume_that_is_not_there_is_told_as_a_containers_image_is(ns: Namespace) -> None:
    mounts = [{"name": "files", "mountPath": "/files"}]
    ns.apply(pod("waits", "sleep 3600", volumes=[volume("absent:test", "Never")], mounts=mounts))

    def reason() -> str:
        path = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
        return ns.kubectl("get", "pod", "waits", "-o", path)

    ns.machine.wait(lambda: reason() == "ErrImageNeverPull")
