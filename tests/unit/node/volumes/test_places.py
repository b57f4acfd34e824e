"""Directories of volumes: their owners, their kinds, their sizes, their parts, and their safe removal."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minikube.api.core_v1 import EmptyDirVolumeSource, Pod, VolumeMount
from minikube.api.meta import from_dict
from minikube.node.host.mounts import (
    MS_BIND,
    MS_SHARED,
    is_mount,
    mount,
    mount_tmpfs,
    mounts_below,
    remove_tree,
    share,
    unmount,
    unmount_below,
    unshare,
)
from minikube.node.pod.problems import ConfigProblem
from minikube.node.volumes import empty_dir, host_path, sub_path
from minikube.node.volumes.container_mounts import recursive_read_only, sub_path_of
from minikube.node.volumes.ownership import set_group, user_of, wanted_mode
from minikube.node.volumes.persistent import wrong_use
from minikube.node.volumes.problems import Unmet
from minikube.node.volumes.usage import usage_of
from minikube.node.volumes.volumes import used_volumes

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and changes owners")
S_DIR, S_FILE = 0o040000, 0o100000


def pod(containers: list[dict[str, Any]], **spec: Any) -> Pod:
    named = [{"name": f"c{index}", **one} for index, one in enumerate(containers)]
    return from_dict(Pod, {"metadata": {"name": "p"}, "spec": {"containers": named, **spec}})


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Path]:
    """A directory; whatever a test mounts in it is gone afterwards."""
    yield tmp_path
    unmount_below(tmp_path)


# ---- owners ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "read_only", "expected"),
    [
        (S_FILE | 0o600, False, 0o660),
        (S_FILE | 0o400, True, 0o440),
        (S_DIR | 0o755, False, 0o2775),
        (S_DIR | 0o700, True, 0o2750),
        (S_DIR | 0o777, False, 0o2777),
    ],
)
def test_a_group_gets_its_permissions(mode: int, read_only: bool, expected: int) -> None:
    assert wanted_mode(mode, read_only=read_only) == expected


@root_only
def test_only_a_mismatch_at_the_root_changes_the_tree_when_so_asked(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/file").touch(mode=0o600)
    (tmp_path / "link").symlink_to("/etc/passwd")
    set_group(tmp_path, 3000, only_on_mismatch=True)
    assert (tmp_path / "inner/file").stat().st_gid == 3000
    assert (tmp_path / "link").lstat().st_gid == 3000
    assert Path("/etc/passwd").stat().st_gid != 3000
    os.chown(tmp_path / "inner/file", -1, 0)
    set_group(tmp_path, 3000, only_on_mismatch=True)
    assert (tmp_path / "inner/file").stat().st_gid == 0
    set_group(tmp_path, 3000)
    assert (tmp_path / "inner/file").stat().st_gid == 3000


@pytest.mark.parametrize(
    ("containers", "whole", "expected"),
    [
        ([{}, {}], {"runAsUser": 7}, 7),
        ([{"securityContext": {"runAsUser": 8}}, {}], {"runAsUser": 7}, None),
        ([{"securityContext": {"runAsUser": 8}}] * 2, {}, 8),
        ([{}], {}, None),
    ],
)
def test_a_pods_one_user(containers: list[dict[str, Any]], whole: Any, expected: int | None) -> None:
    assert user_of(pod(containers, securityContext=whole)) == expected


# ---- hostPath ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("", "none", ""),
        ("Directory", "dir", ""),
        ("File", "file", ""),
        ("Socket", "socket", ""),
        ("DirectoryOrCreate", "new/dir", ""),
        ("FileOrCreate", "newfile", ""),
        ("DirectoryOrCreate", "file", "hostPath type check failed: {} is not a directory, it's a File"),
        ("FileOrCreate", "no/parent", "no such file or directory: {}"),
        ("Directory", "none", "hostPath {} doesn't exist"),
        ("Directory", "file", "hostPath type check failed: {} is not a directory, it's a File"),
        ("File", "dir", "hostPath type check failed: {} is not a file, it's a Directory"),
        ("Socket", "file", "hostPath type check failed: {} is not a socket file, it's a File"),
        ("CharDevice", "file", "hostPath type check failed: {} is not a character device, it's a File"),
        ("BlockDevice", "file", "hostPath type check failed: {} is not a block device, it's a File"),
    ],
)
def test_a_host_path_is_what_it_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the whole path may be too long for a socket
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        path = tmp_path / name
        if not why:
            host_path.check(path, kind)
            return
        with pytest.raises(Unmet) as caught:
            host_path.check(path, kind)
        assert str(caught.value) == why.format(path)


def test_a_character_device_is_recognized() -> None:
    host_path.check(Path("/dev/null"), "CharDevice")


# ---- emptyDir ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "limit", "expected"),
    [
        ([{}], None, 8 << 30),
        ([{}], "1Mi", 1 << 20),
        ([{"memory": "64Mi"}, {"memory": "64Mi"}], None, 128 << 20),
        ([{"memory": "64Mi"}, {}], None, 8 << 30),
        ([{"memory": "64Mi"}], "1Gi", 64 << 20),
    ],
)
def test_memory_holds_no_more_than_anyone_allows(limits: list[Any], limit: str | None, expected: int) -> None:
    subject = pod([{"resources": {"limits": one}} for one in limits])
    source = EmptyDirVolumeSource(medium="Memory", size_limit=limit)
    assert empty_dir.memory_size(subject, source, {"memory": "8Gi"}) == expected


@root_only
def test_an_empty_dir_is_made_once_and_keeps_what_its_users_change(there: Path) -> None:
    for medium in ("", "Memory"):
        source = EmptyDirVolumeSource(medium=medium)
        path = there / f"e{medium}"
        for _ in range(2):
            empty_dir.set_up(path, pod([{}]), source, 1 << 20, 4000)
            info = path.stat()
            assert (info.st_mode & 0o7777, info.st_gid) == (0o2777, 4000)
        assert is_mount(path) == (medium == "Memory")
        (path / "kept").touch()
        path.chmod(0o700)
        empty_dir.set_up(path, pod([{}]), source, 1 << 20, 4000)
        assert path.stat().st_mode & 0o777 == 0o700
        assert (path / "kept").exists()
    assert os.statvfs(there / "eMemory").f_blocks * os.statvfs(there / "eMemory").f_frsize == 1 << 20
    with pytest.raises(Unmet, match='unknown storage medium "Tape"'):
        empty_dir.set_up(there / "x", pod([{}]), EmptyDirVolumeSource(medium="Tape"), 0, None)


def test_only_what_a_container_mounts_is_made() -> None:
    volumes = [{"name": "used", "emptyDir": {}}, {"name": "idle", "emptyDir": {}}]
    subject = pod([{"volumeMounts": [{"name": "used", "mountPath": "/u"}]}], volumes=volumes)
    assert [volume.name for volume in used_volumes(subject)] == ["used"]


# ---- sub paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ""),
        ({"subPath": "a/b"}, "a/b"),
        ({"subPathExpr": "$(POD)/$(N)"}, "web/1"),
        ({"subPathExpr": "$$(POD)"}, "$(POD)"),
    ],
)
def test_a_sub_path_is_expanded_from_the_environment(fields: Any, expected: str) -> None:
    mount_ = from_dict(VolumeMount, {"name": "v", "mountPath": "/m", **fields})  # type: ignore[type-var]
    assert sub_path_of(mount_, {"POD": "web", "N": "1", "UP": "..", "ROOT": "/etc"}) == expected


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("$(NONE)", 'missing value for "NONE"'),
        ("$(ROOT)", "error SubPath `/etc` must not be an absolute path"),
        ("a/$(UP)", "unable to provision SubPath `a/..`: must not contain '..'"),
    ],
)
def test_an_impossible_sub_path_is_told(expression: str, why: str) -> None:
    mount_ = from_dict(VolumeMount, {"name": "v", "mountPath": "/m", "subPathExpr": expression})  # type: ignore[type-var]
    with pytest.raises(ConfigProblem) as caught:
        sub_path_of(mount_, {"UP": "..", "ROOT": "/etc"})
    assert str(caught.value) == why


@root_only
def test_a_sub_path_is_bound_and_follows_links_within_the_volume_only(there: Path) -> None:
    volume, target = there / "v", there / "target"
    volume.mkdir(mode=0o750)
    sub_path.make(volume, "a/b")
    assert (volume / "a/b").stat().st_mode & 0o777 == 0o750
    (volume / "a/b/file").write_text("here")
    assert (sub_path.bind(volume, "a/b", target) / "file").read_text() == "here"
    (volume / "inside").symlink_to("a")
    assert (sub_path.bind(volume, "inside/b/file", there / "file-target")).read_text() == "here"

    (there / "secret").mkdir()
    (there / "secret/key").write_text("no")
    (volume / "outside").symlink_to(there / "secret")
    (volume / "up").symlink_to("../secret")
    for leading in ("outside", "outside/key", "up", "up/key"):
        with pytest.raises(OSError, match="is not within"):
            sub_path.bind(volume, leading, there / "never")
    with pytest.raises(OSError, match="is not within"):
        sub_path.make(volume, "outside/new")
    assert not (there / "secret/new").exists()


@root_only
def test_a_sub_path_mounted_before_is_kept_unless_it_is_another_file_now(there: Path) -> None:
    (there / "v").mkdir()
    (there / "v/a").write_text("one")
    target = sub_path.bind(there / "v", "a", there / "t")
    assert sub_path.bind(there / "v", "a", target).read_text() == "one"
    assert mounts_below(target) == [target]
    (there / "v/b").write_text("two")
    (there / "v/b").rename(there / "v/a")
    assert sub_path.bind(there / "v", "a", target).read_text() == "two"
    assert mounts_below(target) == [target]


def test_recursive_read_only_needs_the_runtime() -> None:
    def asked(how: str) -> VolumeMount:
        return from_dict(VolumeMount, {"name": "v", "mountPath": "/m", "readOnly": True, "recursiveReadOnly": how})  # type: ignore[type-var]

    assert recursive_read_only(asked("IfPossible"), supported=True)
    assert not recursive_read_only(asked("IfPossible"), supported=False)
    assert recursive_read_only(asked("Enabled"), supported=True)
    with pytest.raises(ConfigProblem, match='failed to resolve recursive read-only mode: volume "v" requested'):
        recursive_read_only(asked("Enabled"), supported=False)


# ---- usage, removal ----------------------------------------------------------------------------------


def test_usage_counts_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1 << 30)
    (tmp_path / "d").mkdir()
    used = usage_of(tmp_path)
    assert 100_000 <= used.used < 150_000
    assert used.inodes == 4
    assert usage_of(tmp_path / "none").inodes == 0


@root_only
def test_nothing_is_deleted_through_a_mount(there: Path) -> None:
    (there / "data").mkdir()
    (there / "data/precious").touch()
    pod_ = there / "pod"
    (pod_ / "volumes/v").mkdir(parents=True)
    (pod_ / "volumes/m with space").mkdir()
    mount(str(there / "data"), pod_ / "volumes/v", "", MS_BIND)
    mount_tmpfs(pod_ / "volumes/m with space")
    assert is_mount(pod_ / "volumes/v")
    with pytest.raises(OSError, match="still mounted"):
        remove_tree(pod_)
    unmount_below(pod_)
    assert mounts_below(pod_) == []
    remove_tree(pod_)
    assert not pod_.exists()
    assert (there / "data/precious").exists()


@root_only
def test_a_directory_is_shared_once_and_given_back_when_nothing_is_mounted_in_it(there: Path) -> None:
    pods = there / "pods"
    share(pods)
    share(pods)
    (pods / "m").mkdir()
    mount_tmpfs(pods / "m")
    unshare(pods)
    assert mounts_below(pods) == [pods / "m", pods]
    unmount_below(pods)
    unshare(pods)
    assert mounts_below(pods) == []


@root_only
def test_a_mount_below_is_there_once_also_where_everything_is_shared(there: Path) -> None:
    (disk := there / "disk").mkdir()
    mount_tmpfs(disk)
    mount("", disk, "", MS_SHARED)
    share(disk / "pods")
    (volume := disk / "pods/m").mkdir()
    mount_tmpfs(volume)
    assert mounts_below(disk) == [volume, disk / "pods", disk]
    unmount(volume)
    assert mounts_below(disk) == [disk / "pods", disk]


@pytest.mark.parametrize(
    ("field", "mode", "expected"),
    [
        ("volumeMounts", "Filesystem", ""),
        ("volumeDevices", "Block", ""),
        ("volumeMounts", "Block", "volume v has volumeMode Block, but is specified in volumeMounts"),
        ("volumeDevices", "Filesystem", "volume v has volumeMode Filesystem, but is specified in volumeDevices"),
    ],
)
def test_a_device_is_not_mounted_and_a_file_system_no_device(field: str, mode: str, expected: str) -> None:
    where = {"mountPath": "/v"} if field == "volumeMounts" else {"devicePath": "/v"}
    container = {"name": "c", "image": "i", field: [{"name": "v", **where}]}
    subject = from_dict(
        Pod,
        {
            "metadata": {"name": "p"},
            "spec": {
                "containers": [container],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
            },
        },
    )
    assert wrong_use(subject, subject.spec.volumes[0], mode) == expected
