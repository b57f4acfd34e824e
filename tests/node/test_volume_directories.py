"""emptyDir, hostPath and sub paths as containers see them (rows storage/emptydir, storage/subpath)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.node.pods import STILL, Namespace, config_map, pod, secret

pytestmark = pytest.mark.node

DISK = {"name": "disk", "emptyDir": {}}
MEMORY = {"name": "memory", "emptyDir": {"medium": "Memory"}}
MODES = ("0644", "0666", "0777")


def at(**paths: str) -> list[dict[str, Any]]:
    """Mounts: volume name -> path."""
    return [{"name": name.replace("_", "-"), "mountPath": path} for name, path in paths.items()]


@pytest.mark.parametrize("security", [{}, {"runAsUser": 1001}, {"runAsUser": 1001, "fsGroup": 1002}])
def test_an_empty_dir_is_everybodys_on_disk_and_in_memory(ns: Namespace, security: dict[str, int]) -> None:
    script = "".join(
        f"stat -c '%a' /{volume}; "
        + "".join(f"echo {mode} > /{volume}/f{mode}; chmod {mode} /{volume}/f{mode}; " for mode in MODES)
        + f"stat -c '%a %u %g' /{volume}/f*; cat /{volume}/f*; "
        for volume in ("disk", "memory")
    )
    script += "grep -c ' /memory tmpfs' /proc/mounts"
    mounts = at(disk="/disk", memory="/memory")
    ns.apply(pod("writer", script, volumes=[DISK, MEMORY], mounts=mounts, securityContext=security))
    user, group = security.get("runAsUser", 0), security.get("fsGroup", 0)
    top = "2777" if group else "777"
    one = [top, *(f"{mode[1:]} {user} {group}" for mode in MODES), *MODES]
    assert ns.output("writer").splitlines() == [*one, *one, "1"]


def test_containers_share_an_empty_dir_and_memory_is_as_big_as_it_may_be(ns: Namespace) -> None:
    small = {"name": "small", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    write = "echo hello > /disk/from; while ! test -e /disk/answer; do sleep 0.1; done; cat /disk/answer"
    read = "while ! test -e /disk/from; do sleep 0.1; done; echo got $(cat /disk/from) > /disk/answer"
    full = "dd if=/dev/zero of=/small/f bs=1k count=2000 2>/dev/null; echo status $?; stat -c %s /small/f"
    ns.apply(pod("pair", write, read, full, volumes=[DISK, small], mounts=at(disk="/disk", small="/small")))
    assert ns.output("pair") == "got hello\n"
    assert ns.output("pair", "c2") == "status 1\n1048576\n"


def test_an_empty_dir_lives_as_long_as_its_pod(ns: Namespace) -> None:
    crash = "cat /disk/count; echo x >> /disk/count; test $(wc -l < /disk/count) = 2 && exec sleep 3600"
    ns.apply(pod("crasher", crash, volumes=[DISK], mounts=at(disk="/disk"), restartPolicy="Always"))
    ns.running("crasher")
    directory = ns.directory("crasher")
    ns.machine.wait(lambda: (directory / "volumes/disk/count").read_text() == "x\nx\n")
    ns.kubectl("delete", "pod", "crasher")
    ns.machine.wait(lambda: not directory.exists())


def test_a_pod_that_has_ended_keeps_no_volumes(ns: Namespace) -> None:
    mounts = [*at(memory="/memory", disk="/disk"), {"name": "disk", "mountPath": "/part", "subPath": "p"}]
    script = "echo hello > /memory/f; echo last words > /dev/termination-log"
    ns.apply(pod("done", script, volumes=[MEMORY, DISK], mounts=mounts))
    ns.output("done")
    directory = ns.directory("done")
    ns.machine.wait(lambda: not (directory / "volumes").exists())
    assert str(directory) not in Path("/proc/mounts").read_text()
    [status] = ns.get("pod", "done")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["message"] == "last words\n"


def host(path: Path, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": "h", "hostPath": {"path": str(path), "type": kind}, **more}


def test_a_host_path_of_the_right_kind_is_mounted(ns: Namespace) -> None:
    root = ns.machine.root / f"host-{ns.name}"
    root.mkdir()
    (root / "file").write_text("content\n")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(root / "socket"))
    kinds = {
        "directory": ("Directory", "."), "file": ("File", "file"), "socket": ("Socket", "socket"),
        "device": ("CharDevice", "/dev/null"), "new-directory": ("DirectoryOrCreate", "made/up"),
        "new-file": ("FileOrCreate", "made-file"), "unchecked": ("", "unchecked"),
    }  # fmt: skip
    for name, (kind, path) in kinds.items():
        ns.apply(pod(name, "stat -L -c %F /h", volumes=[host(root / path, kind)], mounts=at(h="/h")))
    shown = {name: ns.output(name).strip() for name in kinds}
    assert shown == {
        "directory": "directory", "file": "regular file", "socket": "socket",
        "device": "character special file", "new-directory": "directory",
        "new-file": "regular empty file", "unchecked": "directory",
    }  # fmt: skip
    listening.close()


def test_a_host_path_of_the_wrong_kind_is_told_and_mended(ns: Namespace) -> None:
    path = ns.machine.root / f"wrong-{ns.name}"
    failed = 'MountVolume.SetUp failed for volume "h" : hostPath '
    ns.apply(pod("waiter", STILL, volumes=[host(path, "Directory")], mounts=at(h="/h")))
    ns.told("waiter", "FailedMount", f"{failed}{path} doesn't exist")
    path.touch()
    ns.told("waiter", "FailedMount", f"{failed}type check failed: {path} is not a directory, it's a File")
    assert ns.waiting("waiter") == ("ContainerCreating", "")
    path.unlink()
    path.mkdir()
    ns.running("waiter")


def test_read_only_mounts_refuse_writes(ns: Namespace) -> None:
    mounts = [{"name": "disk", "mountPath": "/rw"}, {"name": "disk", "mountPath": "/ro", "readOnly": True}]
    mounts.append({"name": "disk", "mountPath": "/rro", "readOnly": True, "recursiveReadOnly": "IfPossible"})
    mounts.append({"name": "c", "mountPath": "/c"})
    volumes = [DISK, {"name": "c", "configMap": {"name": "c"}}]
    script = "for d in rw ro rro c; do touch /$d/f 2>/dev/null && echo $d; done; test -e /ro/f"
    ns.apply(config_map("c", {"k": "v"}), pod("reader", script, volumes=volumes, mounts=mounts))
    assert ns.output("reader") == "rw\n"


def test_mounts_made_in_one_container_reach_the_other_that_asks(ns: Namespace) -> None:
    made = pod(
        "maker", "mkdir -p /v/sub; mount -t tmpfs tmpfs /v/sub; echo seen > /v/sub/f; exec sleep 3600",
        "while ! grep -q ' /v/sub ' /proc/mounts; do sleep 0.1; done; cat /v/sub/f; exec sleep 3600",
        "while ! test -d /v/sub; do sleep 0.1; done; exec sleep 3600",
        volumes=[DISK],
    )  # fmt: skip
    for container, how in zip(
        made["spec"]["containers"], ("Bidirectional", "HostToContainer", "None"), strict=True
    ):
        container["volumeMounts"] = [{"name": "disk", "mountPath": "/v", "mountPropagation": how}]
        container["securityContext"] = {"privileged": True}
    ns.apply(made)
    ns.running("maker")
    directory = ns.directory("maker")
    ns.machine.wait(lambda: (directory / "volumes/disk/sub/f").exists())
    ns.kubectl("delete", "pod", "maker")
    ns.machine.wait(lambda: not directory.exists())
    assert str(directory) not in Path("/proc/mounts").read_text()


# ---- sub paths ---------------------------------------------------------------------------------------


def test_sub_paths_of_every_kind_of_volume(ns: Namespace) -> None:
    down = {"items": [{"path": "downward/name", "fieldRef": {"fieldPath": "metadata.name"}}]}
    volumes = [
        {"name": "c", "configMap": {"name": "c"}},
        {"name": "s", "secret": {"secretName": "s"}},
        {"name": "d", "downwardAPI": down},
        {"name": "p", "projected": {"sources": [{"configMap": {"name": "c"}}, {"downwardAPI": down}]}},
        DISK,
    ]
    mounts = [
        {"name": "c", "mountPath": "/one", "subPath": "k"},
        {"name": "c", "mountPath": "/etc/resolv.conf", "subPath": "k"},
        {"name": "s", "mountPath": "/two", "subPath": "k"},
        {"name": "d", "mountPath": "/three", "subPath": "downward"},
        {"name": "p", "mountPath": "/four", "subPath": "downward/name"},
        {"name": "disk", "mountPath": "/five", "subPath": "a/b"},
        {"name": "disk", "mountPath": "/six", "subPathExpr": "by-uid/$(POD_UID)"},
        {"name": "disk", "mountPath": "/whole"},
    ]
    script = "cat /one /etc/resolv.conf /two /three/name /four; touch /five/f /six/g; find /whole -type f | sort"
    ns.apply(config_map("c", {"k": "config."}), secret("s", {"k": "secret."}))
    ns.apply(pod("parts", script, volumes=volumes, mounts=mounts))
    uid = ns.get("pod", "parts")["metadata"]["uid"]
    assert ns.output("parts") == f"config.config.secret.partsparts/whole/a/b/f\n/whole/by-uid/{uid}/g\n"


def test_a_sub_path_out_of_the_volume_is_refused_without_saying_what_is_there(ns: Namespace) -> None:
    made = pod("escape", STILL, volumes=[DISK], mounts=[{"name": "disk", "mountPath": "/v", "subPath": "link"}])
    link = {"name": "link", "image": "busybox:test", "imagePullPolicy": "Never"}
    link |= {"command": ["sh", "-c", "ln -s /etc /v/link"], "volumeMounts": at(disk="/v")}
    made["spec"]["initContainers"] = [link]
    ns.apply(made)
    why = 'failed to prepare subPath for volumeMount "disk" of container "c0"'
    ns.machine.wait(lambda: ns.waiting("escape") == ("CreateContainerConfigError", why))
    ns.told("escape", "Failed", f"Error: {why}")


def test_an_impossible_sub_path_expression_is_told(ns: Namespace) -> None:
    made = pod("up", STILL, volumes=[DISK], mounts=[{"name": "disk", "mountPath": "/v", "subPathExpr": "$(UP)"}])
    made["spec"]["containers"][0]["env"].append({"name": "UP", "value": ".."})
    ns.apply(made)
    why = "unable to provision SubPath `..`: must not contain '..'"
    ns.machine.wait(lambda: ns.waiting("up") == ("CreateContainerConfigError", why))


def test_environment_from_config_maps_and_secrets_waits_for_them(ns: Namespace) -> None:
    made = pod("env", "echo $ONE $TWO $p_k")
    made["spec"]["containers"][0]["env"] += [
        {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        {"name": "TWO", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    made["spec"]["containers"][0]["envFrom"] = [{"prefix": "p_", "configMapRef": {"name": "c"}}]
    ns.apply(made)
    ns.machine.wait(lambda: ns.waiting("env") == ("CreateContainerConfigError", 'configmap "c" not found'))
    ns.apply(config_map("c", {"k": "config"}), secret("s", {"other": "x"}))
    why = f"couldn't find key k in Secret {ns.name}/s"
    ns.machine.wait(lambda: ns.waiting("env") == ("CreateContainerConfigError", why))
    ns.apply(secret("s", {"k": "secret"}))
    assert ns.output("env") == "config secret config\n"
