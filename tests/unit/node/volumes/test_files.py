"""The files of volumes, from what they are made of; and how they appear all at once."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from minikube.api.certificates_v1 import ClusterTrustBundle, ClusterTrustBundleSpec
from minikube.api.core_v1 import ConfigMap, Container, Pod, Secret, Volume
from minikube.api.meta import ObjectMeta, from_dict, to_dict
from minikube.node.container.env import Facts
from minikube.node.volumes.atomic import File, write
from minikube.node.volumes.files import Sources, TokenKind, files_of
from minikube.node.volumes.problems import Unmet

ENCODED = base64.b64encode(b"s3cret").decode()
BINARY = base64.b64encode(b"\x00\xff").decode()
PEMS = [f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----" for name in "xyz"]


def bundle(name: str, *pems: str, **labels: str) -> ClusterTrustBundle:
    spec = ClusterTrustBundleSpec(signer_name="example.com/s", trust_bundle="\n".join(pems) + "\n")
    return ClusterTrustBundle(metadata=ObjectMeta(name=name, labels=labels), spec=spec)


GIVEN = Sources(
    config_maps={"c": ConfigMap(data={"a": "1", "b": "2"}, binary_data={"bin": BINARY}), "none": None},
    secrets={"s": Secret(data={"pw": ENCODED}), "none": None},
    tokens={TokenKind("", 3607): b"token"},
    bundles=[
        bundle("two", PEMS[1], PEMS[2], use="tls"),
        bundle("one", PEMS[0], PEMS[1], use="tls"),
        bundle("three"),
    ],
    facts=Facts("n1", ("10.0.0.1",), (), {"cpu": "4", "memory": "8Gi"}),
)


def pod(**security: Any) -> Pod:
    limits = {"cpu": "1250m", "memory": "64Mi"}
    container = to_dict(Container(name="c", image="i"))
    tree = {
        "metadata": {
            "name": "p",
            "namespace": "default",
            "labels": {"b": "2", "a": "1"},
            "annotations": {"q": 'x"y'},
        },
        "spec": {
            "containers": [
                {**container, "resources": {"limits": limits, "requests": {"cpu": "200m"}}},
                {**container, "name": "bare"},
            ],
            "securityContext": security,
        },
    }
    return from_dict(Pod, tree)


def files(source: dict[str, Any], subject: Pod | None = None) -> dict[str, tuple[bytes, int]]:
    volume = from_dict(Volume, {"name": "v", **source})  # type: ignore[type-var]
    return {each.path: (each.content, each.mode) for each in files_of(subject or pod(), volume, GIVEN)}


def field(path: str, **more: Any) -> dict[str, Any]:
    return {"path": "f", "fieldRef": {"fieldPath": path}, **more}


def amount(resource: str, container: str = "c", divisor: str = "0") -> dict[str, Any]:
    return {"path": "f", "resourceFieldRef": {"resource": resource, "containerName": container, "divisor": divisor}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"configMap": {"name": "c"}}, {"a": (b"1", 0o644), "b": (b"2", 0o644), "bin": (b"\x00\xff", 0o644)}),
        ({"configMap": {"name": "c", "defaultMode": 0o400, "items": [{"key": "a", "path": "x/y"}]}},
         {"x/y": (b"1", 0o400)}),
        ({"configMap": {"name": "c", "items": [{"key": "a", "path": "x", "mode": 0o440}]}}, {"x": (b"1", 0o440)}),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        ({"configMap": {"name": "c", "optional": True, "items": [{"key": "zz", "path": "x"}]}}, {}),
        ({"secret": {"secretName": "s", "defaultMode": 0o440}}, {"pw": (b"s3cret", 0o440)}),
        ({"downwardAPI": {"items": [field("metadata.labels")]}}, {"f": (b'a="1"\nb="2"', 0o644)}),
        ({"downwardAPI": {"items": [field("metadata.annotations")]}}, {"f": (b'q="x\\"y"', 0o644)}),
        ({"downwardAPI": {"items": [field("metadata.labels['a']", mode=0o400)]}}, {"f": (b"1", 0o400)}),
        ({"downwardAPI": {"items": [amount("limits.cpu")]}}, {"f": (b"2", 0o644)}),
        ({"downwardAPI": {"items": [amount("limits.cpu", divisor="1m")]}}, {"f": (b"1250", 0o644)}),
        ({"downwardAPI": {"items": [amount("limits.memory", divisor="1Mi")]}}, {"f": (b"64", 0o644)}),
        ({"downwardAPI": {"items": [amount("requests.cpu", divisor="1m")]}}, {"f": (b"200", 0o644)}),
        ({"downwardAPI": {"items": [amount("limits.cpu", "bare")]}}, {"f": (b"4", 0o644)}),
        ({"downwardAPI": {"items": [amount("limits.memory", "bare", "1Gi")]}}, {"f": (b"8", 0o644)}),
        ({"projected": {"defaultMode": 0o400, "sources": [
            {"configMap": {"name": "c", "items": [{"key": "a", "path": "a"}]}},
            {"secret": {"name": "s"}},
            {"downwardAPI": {"items": [field("metadata.name", mode=0o444)]}},
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        ]}}, {"a": (b"1", 0o400), "pw": (b"s3cret", 0o400), "f": (b"p", 0o444), "token": (b"token", 0o400)}),
        ({"projected": {"sources": [{"clusterTrustBundle": {"name": "one", "path": "ca.pem"}}]}},
         {"ca.pem": (f"{PEMS[0]}\n{PEMS[1]}\n".encode(), 0o644)}),
        ({"projected": {"sources": [{"clusterTrustBundle": {
            "signerName": "example.com/s", "labelSelector": {"matchLabels": {"use": "tls"}}, "path": "ca.pem"}}]}},
         {"ca.pem": ("".join(f"{pem}\n" for pem in PEMS).encode(), 0o644)}),
    ],
)  # fmt: skip
def test_a_volume_shows_its_sources(source: dict[str, Any], expected: dict[str, tuple[bytes, int]]) -> None:
    assert files(source) == expected


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"configMap": {"name": "c", "items": [{"key": "z", "path": "x"}]}},
         "references non-existent config key: z"),
        ({"secret": {"secretName": "s", "items": [{"key": "z", "path": "x"}]}},
         "references non-existent secret key: z"),
        ({"projected": {"sources": [{"secret": {"name": "none"}}, {"configMap": {"name": "none"}}]}},
         '[secret "none" not found, configmap "none" not found]'),
        ({"projected": {"sources": [{"clusterTrustBundle": {"name": "no", "path": "x"}}]}},
         'clustertrustbundle "no" not found'),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(source: dict[str, Any], why: str) -> None:
    with pytest.raises(Unmet) as caught:
        files(source)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        ({}, (0o644, None)),
        ({"runAsUser": 1000}, (0o600, 1000)),
        ({"fsGroup": 2000}, (0o600, None)),
        ({"fsGroup": 2000, "runAsUser": 1000}, (0o600, 1000)),
    ],
)
def test_a_token_is_for_the_pods_one_user_or_its_group(security: Any, expected: tuple[int, int | None]) -> None:
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}
    volume = from_dict(Volume, {"name": "v", "projected": {"sources": [token]}})  # type: ignore[type-var]
    [file] = files_of(pod(**security), volume, GIVEN)
    assert (file.mode, file.user) == expected


def shown(directory: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in directory.iterdir() if not each.name.startswith("..")}


def test_files_change_all_at_once_behind_one_link(tmp_path: Path) -> None:
    assert write(tmp_path, [File("a", b"1"), File("gone", b"x"), File("deep/er", b"2", 0o400)])
    first = os.readlink(tmp_path / "..data")
    assert os.readlink(tmp_path / "a") == "..data/a"
    assert (tmp_path / "deep/er").stat().st_mode & 0o777 == 0o400
    assert not write(tmp_path, [File("a", b"1"), File("gone", b"x"), File("deep/er", b"2", 0o400)])
    assert os.readlink(tmp_path / "..data") == first

    assert write(tmp_path, [File("a", b"3"), File("new", b"4")])
    assert shown(tmp_path) == {"a": "3", "new": "4"}
    assert not (tmp_path / first).exists()


def test_an_interrupted_change_leaves_no_rubbish(tmp_path: Path) -> None:
    write(tmp_path, [File("a", b"1")])
    (tmp_path / "..2026_01_01_00_00_00.half").mkdir()
    (tmp_path / "..data_tmp").symlink_to("..2026_01_01_00_00_00.half")
    write(tmp_path, [File("a", b"2")])
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(
        ["a", "..data", os.readlink(tmp_path / "..data")]
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")
def test_a_group_may_read_what_is_its_own(tmp_path: Path) -> None:
    write(tmp_path, [File("a", b"1", 0o400), File("t", b"2", 0o600, user=1000)], group=2000)
    for name, user, mode in (("a", 0, 0o440), ("t", 1000, 0o640)):
        info = (tmp_path / name).stat()
        assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (user, 2000, mode)


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path, [File("a", b"1")])
    before = sorted(tmp_path.iterdir())
    for _ in range(3):
        with pytest.raises(OSError):
            write(tmp_path, [File("b", b"2"), File("b/c", b"3")])
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "a").read_bytes() == b"1"
