"""Beyond the rows: owners, modes, propagation and read-only mounts as upstream's node and storage suites check them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.space import Obj, Space, pod, shell
from tests.machines import sh

pytestmark = pytest.mark.conformance


def mounting(name: str, script: str, volume: Obj, mount: Obj | None = None, **spec: Any) -> Obj:
    """Mounts the volume at /v."""
    made = pod(name, *shell(script), volumes=[{"name": "v", **volume}], **spec)
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v", **(mount or {})}]
    return made


@pytest.fixture
def directory(space: Space) -> Iterator[Path]:
    """A directory of every node."""
    made = Path("/tmp") / space.name
    made.mkdir()
    yield made
    shutil.rmtree(made)


TOKEN = {"sources": [{"serviceAccountToken": {"path": "token"}}]}


@pytest.mark.parametrize(
    ("whole", "own", "seen"),
    [
        ({}, {}, "-rw-r--r-- 0:0"),
        ({"runAsUser": 1000}, {}, "-rw------- 1000:0"),
        ({}, {"runAsUser": 1000}, "-rw------- 1000:0"),
        ({"fsGroup": 10000}, {}, "-rw-r----- 0:10000"),
        ({"fsGroup": 10000, "runAsUser": 1000}, {}, "-rw-r----- 1000:10000"),
    ],
    ids=["nobody", "user", "containers-user", "group", "both"],
)
def test_a_token_is_for_the_pods_user_and_group(space: Space, whole: Obj, own: Obj, seen: str):
    """ServiceAccounts should set ownership and permission when RunAsUser or FsGroup is present."""
    script = "stat -L -c '%A %u:%g' /v/token; wc -c < /v/token"
    made = mounting("pod", script, {"projected": TOKEN}, securityContext=whole)
    made["spec"]["containers"][0]["securityContext"] = own
    said = space.output(made).splitlines()
    assert said[0] == seen
    assert int(said[1]) > 100


@pytest.mark.parametrize("mode", [None, 0o440])
def test_the_downward_api_is_for_the_group(space: Space, mode: int | None):
    items = [{"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}}]
    source = {"downwardAPI": {"items": items, **({} if mode is None else {"defaultMode": mode})}}
    script = "cat /v/podname; stat -L -c ' %A %u:%g' /v/podname"
    said = space.output(mounting("pod", script, source, securityContext={"runAsUser": 1001, "fsGroup": 123}))
    assert said == f"pod {'-rw-r--r--' if mode is None else '-r--r-----'} 0:123\n"


@pytest.mark.parametrize("medium", ["", "Memory"])
def test_a_new_part_of_a_volume_is_for_the_group(space: Space, medium: str):
    """EmptyDir, FSGroup: nonexistent volume subPath should have the correct mode and owner."""
    source = {"emptyDir": {"medium": medium}}
    security = {"runAsUser": 1001, "fsGroup": 123}
    script = "stat -c '%A %u:%g' /v; touch /v/f; stat -c '%A %u:%g' /v/f"
    said = space.output(mounting("pod", script, source, {"subPath": "a/b"}, securityContext=security))
    assert said.splitlines() == ["drwxrwsrwx 0:123", "-rw-r--r-- 1001:123"]


@pytest.mark.parametrize(
    ("policy", "root", "inner"), [("Always", "2000", "2000"), ("OnRootMismatch", "2000", "3000")]
)
def test_the_policy_says_whether_all_files_change_groups(space: Space, policy: str, root: str, inner: str):
    """fsGroupChangePolicy: a root that has the group already lets OnRootMismatch leave what is in it."""
    resources = {"requests": {"storage": "1Mi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": resources}
    space.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim"}, "spec": spec})
    source = {"persistentVolumeClaim": {"claimName": "claim"}}
    script = "mkdir /v/d; touch /v/d/f; chown -R 0:3000 /v/d; stat -c %g /v"
    assert space.output(mounting("first", script, source, securityContext={"fsGroup": 2000})) == "2000\n"
    security = {"fsGroup": 2000, "fsGroupChangePolicy": policy}
    said = space.output(mounting("second", "stat -c '%g' /v /v/d /v/d/f", source, securityContext=security))
    assert said.split() == [root, inner, inner]
    other = {"fsGroup": 4000, "fsGroupChangePolicy": policy}
    said = space.output(mounting("third", "stat -c '%g' /v /v/d /v/d/f", source, securityContext=other))
    assert said.split() == ["4000"] * 3, "with another group both policies change all"


def test_a_host_path_keeps_its_mode_and_its_files(space: Space, directory: Path):
    """HostPath should give a volume the correct mode, should support r/w, should support subPath."""
    directory.chmod(0o1777)
    source = {"hostPath": {"path": str(directory)}}
    script = "stat -c %A /v; echo new > /v/f; mkdir /v/sub; echo inner > /v/sub/f"
    assert space.output(mounting("first", script, source)) == "drwxrwxrwt\n"
    assert (directory / "f").read_text() == "new\n"
    assert space.output(mounting("second", "cat /v/f", source, {"subPath": "sub"})) == "inner\n"


def test_mounts_travel_as_their_propagation_says(space: Space, directory: Path):
    """Four pods of one node and the node: what each mounts is seen where mount_propagation.go expects it."""
    sh("mount", "--bind", str(directory), str(directory))
    try:
        sh("mount", "--make-rshared", str(directory))
        _propagate(space, directory)
    finally:
        sh("umount", "--recursive", str(directory))


def _propagate(space: Space, directory: Path) -> None:
    node = next(iter(space.site.nodes))
    kinds = {"master": "Bidirectional", "slave": "HostToContainer", "private": "None", "default": None}
    for name, propagation in kinds.items():
        (directory / name).mkdir()
        made = mounting(
            name,
            "sleep 3600",
            {"hostPath": {"path": str(directory)}},
            {"mountPropagation": propagation} if propagation else {},
            nodeName=node,
        )
        made["spec"]["containers"][0]["securityContext"] = {"privileged": True}
        space.create(made)
    for name in kinds:
        space.wait(lambda name=name: space.get("v1/Pod", name)["status"]["phase"] == "Running")
    for name in kinds:
        mount = f"mount -t tmpfs e2e-mount-propagation-{name} /v/{name} && echo {name} > /v/{name}/file"
        space.exec(name, *shell(mount))
    (directory / "host").mkdir()
    sh("mount", "-t", "tmpfs", "e2e-mount-propagation-host", str(directory / "host"))
    (directory / "host/file").write_text("host\n")
    look = shell("cd /v; for each in *; do [ ! -f $each/file ] || cat $each/file; done")
    seen = {name: set(space.exec(name, *look).split()) for name in kinds}
    assert seen == {
        "master": {"master", "host"},
        "slave": {"master", "slave", "host"},
        "private": {"private"},
        "default": {"default"},
    }
    assert {each for each in (*kinds, "host") if (directory / each / "file").exists()} == {"master", "host"}
    for name in kinds:
        space.delete("v1/Pod", name)
        space.wait(lambda name=name: space.gone("v1/Pod", name))


def test_recursive_read_only_is_asked_for_and_shown(space: Space):
    """`Enabled` needs a runtime that can; `IfPossible` never fails; the status says what came of it."""
    source = {"emptyDir": {}}
    readable = {"readOnly": True, "recursiveReadOnly": "IfPossible"}
    shown = space.run(mounting("possible", "sleep 3600", source, readable))
    mounts = {each["mountPath"]: each for each in shown["status"]["containerStatuses"][0]["volumeMounts"]}
    able = mounts["/v"].pop("recursiveReadOnly")
    assert able in ("Enabled", "Disabled")
    assert mounts["/v"] == {"name": "v", "mountPath": "/v", "readOnly": True}
    space.create(mounting("enabled", "sleep 3600", source, {"readOnly": True, "recursiveReadOnly": "Enabled"}))

    def state() -> Obj:
        return space.get("v1/Pod", "enabled")["status"]["containerStatuses"][0]["state"]

    if able == "Enabled":
        space.wait(lambda: "running" in state())
    else:
        space.wait(lambda: state()["waiting"]["reason"] == "CreateContainerConfigError")
        why = 'volume "v" requested recursive read-only mode, but it is not supported by the runtime'
        assert state()["waiting"]["message"] == f"failed to resolve recursive read-only mode: {why}"
    writable = mounting("pod", "true", source, {"recursiveReadOnly": "Enabled"})
    why = space.ask("POST", "v1/Pod", body=writable).refused(422, "Invalid")
    assert (
        "spec.containers[0].volumeMounts[0].recursiveReadOnly: Forbidden: may only be specified when readOnly is true"
        in why
    )


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"configMap": {"name": "missing"}}, 'configmap "missing" not found'),
        ({"secret": {"secretName": "missing"}}, 'secret "missing" not found'),
        (
            {"configMap": {"name": "there", "items": [{"key": "no", "path": "no"}]}},
            "references non-existent config key: no",
        ),
        (
            {"secret": {"secretName": "there", "items": [{"key": "no", "path": "no"}]}},
            "references non-existent secret key: no",
        ),
        ({"hostPath": {"path": "/no/such/place", "type": "Directory"}}, "hostPath /no/such/place doesn't exist"),
        ({"emptyDir": {"medium": "HugePages-3Mi"}}, ""),
    ],
    ids=["config-map", "secret", "config-key", "secret-key", "host-path", "huge-pages"],
)
def test_what_cannot_be_mounted_is_told(space: Space, source: Obj, why: str):
    for kind in ("ConfigMap", "Secret"):
        space.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": "there"}, "data": {}})
    space.create(mounting("pod", "sleep 3600", source))
    space.wait(lambda: any(each["reason"] == "FailedMount" for each in space.events("pod")))
    message = next(each["message"] for each in space.events("pod") if each["reason"] == "FailedMount")
    assert message.startswith('MountVolume.SetUp failed for volume "v" : ')
    assert why in message
    state = space.get("v1/Pod", "pod")["status"]["containerStatuses"][0]["state"]
    assert state == {"waiting": {"reason": "ContainerCreating"}}
    space.delete("v1/Pod", "pod")
    space.wait(lambda: space.gone("v1/Pod", "pod"))
