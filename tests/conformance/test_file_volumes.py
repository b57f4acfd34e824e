"""storage/configmap-volume, secret-volume and projected: ConfigMaps and Secrets as files, plain and projected."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, kind_of, pod, shell

pytestmark = pytest.mark.conformance

DATA = {"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"}
SOURCES = {"configMap": "v1/ConfigMap", "secret": "v1/Secret"}


def source(what: str, name: str, data: Mapping[str, str] = DATA) -> Obj:
    """A ConfigMap or a Secret with these values."""
    kind = SOURCES[what].partition("/")[2]
    values = data if what == "configMap" else {key: encoded(value) for key, value in data.items()}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": dict(values)}


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def volume(volume: str, what: str, of: str, *, projected: bool = False, mode: int | None = None, **how: Any) -> Obj:
    """`how`: items, optional."""
    default = {} if mode is None else {"defaultMode": mode}
    if projected:
        return {"name": volume, "projected": {"sources": [{what: {"name": of, **how}}], **default}}
    return {"name": volume, what: {"name" if what == "configMap" else "secretName": of, **default, **how}}


def shows(*paths: str) -> str:
    """A script: per file its mode and owners, then its content."""
    return "; ".join(f"stat -L -c '%A %u:%g' {path}; cat {path}; echo" for path in paths)


def reader(script: str, volumes: list[Obj], **spec: Any) -> Obj:
    """Mounts each volume at / and its name."""
    made = pod("reader", *shell(script), volumes=volumes, **spec)
    made["spec"]["containers"][0]["volumeMounts"] = [
        {"name": each["name"], "mountPath": f"/{each['name']}", "readOnly": True} for each in volumes
    ]
    return made


@pytest.mark.parametrize(
    ("what", "projected"),
    [
        pytest.param(
            "configMap",
            False,
            marks=row(
                "ConfigMap should be consumable from pods in volume",
                "ConfigMap should be consumable from pods in volume with defaultMode set",
                "ConfigMap should be consumable from pods in volume with mappings",
                "ConfigMap should be consumable from pods in volume with mappings and Item mode set",
                "ConfigMap should be consumable in multiple volumes in the same pod",
            ),
            id="configMap",
        ),
        pytest.param(
            "configMap",
            True,
            marks=row(
                "Projected configMap should be consumable from pods in volume",
                "Projected configMap should be consumable from pods in volume with defaultMode set",
                "Projected configMap should be consumable from pods in volume with mappings",
                "Projected configMap should be consumable from pods in volume with mappings and Item mode set",
                "Projected configMap should be consumable in multiple volumes in the same pod",
            ),
            id="projected configMap",
        ),
        pytest.param(
            "secret",
            False,
            marks=row(
                "Secrets should be consumable from pods in volume",
                "Secrets should be consumable from pods in volume with defaultMode set",
                "Secrets should be consumable from pods in volume with mappings",
                "Secrets should be consumable from pods in volume with mappings and Item Mode set",
                "Secrets should be consumable in multiple volumes in a pod",
            ),
            id="secret",
        ),
        pytest.param(
            "secret",
            True,
            marks=row(
                "Projected secret should be consumable from pods in volume",
                "Projected secret should be consumable from pods in volume with defaultMode set",
                "Projected secret should be consumable from pods in volume with mappings",
                "Projected secret should be consumable from pods in volume with mappings and Item Mode set",
                "Projected secret should be consumable in multiple volumes in a pod",
            ),
            id="projected secret",
        ),
    ],
)
def test_values_are_files_with_the_modes_and_paths_the_volume_says(space: Space, what: str, projected: bool):
    space.create(source(what, "values"))
    mapped = [{"key": "data-2", "path": "path/to/data-2"}]
    volumes = [
        volume("plain", what, "values", projected=projected),
        volume("private", what, "values", projected=projected, mode=0o400),
        volume("mapped", what, "values", projected=projected, items=mapped),
        volume("item", what, "values", projected=projected, items=[{**mapped[0], "mode": 0o400}]),
    ]
    files = ("/plain/data-1", "/private/data-1", "/mapped/path/to/data-2", "/item/path/to/data-2")
    said = space.output(reader(f"{shows(*files)}; ls /mapped; ls -A /plain | grep -v '^[.]'", volumes))
    assert said.splitlines() == [
        *("-rw-r--r-- 0:0", "value-1", "-r-------- 0:0", "value-1"),
        *("-rw-r--r-- 0:0", "value-2", "-r-------- 0:0", "value-2"),
        "path",
        *DATA,
    ]


@pytest.mark.parametrize(
    ("what", "projected"),
    [
        pytest.param(
            "configMap",
            False,
            marks=row(
                "ConfigMap should be consumable from pods in volume as non-root",
                "ConfigMap should be consumable from pods in volume with mappings as non-root",
            ),
            id="configMap",
        ),
        pytest.param(
            "configMap",
            True,
            marks=row(
                "Projected configMap should be consumable from pods in volume as non-root",
                "Projected configMap should be consumable from pods in volume with mappings as non-root",
            ),
            id="projected configMap",
        ),
    ],
)
def test_a_user_other_than_root_reads_them(space: Space, what: str, projected: bool):
    space.create(source(what, "values"))
    volumes = [
        volume("plain", what, "values", projected=projected),
        volume("mapped", what, "values", projected=projected, items=[{"key": "data-2", "path": "path/to/data-2"}]),
    ]
    script = f"id -u; {shows('/plain/data-1', '/mapped/path/to/data-2')}"
    said = space.output(reader(script, volumes, securityContext={"runAsUser": 1000}))
    assert said.splitlines() == ["1000", "-rw-r--r-- 0:0", "value-1", "-rw-r--r-- 0:0", "value-2"]


@pytest.mark.parametrize(
    ("what", "projected"),
    [
        pytest.param(
            "secret",
            False,
            marks=row(
                "Secrets should be consumable from pods in volume as non-root with defaultMode and fsGroup set"
            ),
            id="secret",
        ),
        pytest.param(
            "secret",
            True,
            marks=row(
                "Projected secret should be consumable from pods in volume as non-root with defaultMode and fsGroup set"
            ),
            id="projected secret",
        ),
        pytest.param("configMap", False, id="configMap"),
        pytest.param("configMap", True, id="projected configMap"),
    ],
)
def test_the_group_of_the_pod_owns_them(space: Space, what: str, projected: bool):
    space.create(source(what, "values"))
    volumes = [volume("grouped", what, "values", projected=projected, mode=0o440)]
    security = {"runAsUser": 1000, "fsGroup": 1001}
    said = space.output(reader(f"id -u; id -G; {shows('/grouped/data-1')}", volumes, securityContext=security))
    assert said.splitlines() == ["1000", "0 1001", "-r--r----- 0:1001", "value-1"]


@row("ConfigMap binary data should be reflected in volume")
def test_binary_data_is_a_file_byte_for_byte(space: Space):
    raw = bytes([0xDE, 0xCA, 0xFE, 0xBA, 0xD0, 0xFE, 0xFF])
    made = {**source("configMap", "values", {"data-1": "value-1"})}
    space.create({**made, "binaryData": {"dump.bin": base64.b64encode(raw).decode()}})
    said = space.output(
        reader(
            "cat /v/data-1; echo; hexdump -v -e '1/1 \"%02x\"' /v/dump.bin", [volume("v", "configMap", "values")]
        )
    )
    assert said.splitlines() == ["value-1", raw.hex()]


@pytest.mark.parametrize(
    ("what", "projected"),
    [
        pytest.param(
            "configMap",
            False,
            marks=row(
                "ConfigMap updates should be reflected in volume",
                "ConfigMap optional updates should be reflected in volume",
            ),
            id="configMap",
        ),
        pytest.param(
            "configMap",
            True,
            marks=row(
                "Projected configMap updates should be reflected in volume",
                "Projected configMap optional updates should be reflected in volume",
            ),
            id="projected configMap",
        ),
        pytest.param(
            "secret", False, marks=row("Secrets optional updates should be reflected in volume"), id="secret"
        ),
        pytest.param(
            "secret",
            True,
            marks=row("Projected secret optional updates should be reflected in volume"),
            id="projected secret",
        ),
    ],
)
def test_changes_are_seen_while_the_pod_runs(space: Space, what: str, projected: bool):
    """Deleted, updated, created: all with `optional`. The pod says whenever what it sees is another thing."""
    for name in ("del", "upd"):
        space.create(source(what, name, {"data-1": "value-1"}))
    volumes = [volume(name, what, name, projected=projected, optional=True) for name in ("del", "upd", "new")]
    say = 'for f in del/data-1 upd/data-1 upd/data-3 new/data-1; do printf " %s" "$(cat /$f 2>/dev/null || echo -)"; done'
    script = f'while :; do now=$({say}); [ "$now" = "$last" ] || echo "now $now"; last=$now; usleep 50000; done'
    space.run(reader(script, volumes))
    space.wait(lambda: "now  value-1 value-1 - -\n" in space.logs("reader"))
    space.delete(SOURCES[what], "del")
    current = space.get(SOURCES[what], "upd")
    space.update({**current, "data": source(what, "upd", {"data-3": "value-3"})["data"]})
    space.create(source(what, "new", {"data-1": "value-1"}))
    space.wait(lambda: space.logs("reader").endswith("now  - - value-3 value-1\n"))


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("configMap", marks=row("ConfigMap should be immutable if `immutable` field is set")),
        pytest.param("secret", marks=row("Secrets should be immutable if `immutable` field is set")),
    ],
)
def test_what_is_immutable_keeps_its_data_and_stays_so(space: Space, what: str):
    def with_data(obj: Obj, key: str) -> Obj:
        return {**obj, "data": {**obj["data"], key: encoded("value-4\nvalue-4\nvalue-4")}}

    def refused(obj: Obj) -> str:
        return space.ask("PUT", kind_of(obj), "values", obj).refused(422, "Invalid")

    current = space.update(with_data(space.create(source(what, "values")), "data-4"))
    current = space.update({**current, "immutable": True})
    assert "field is immutable when `immutable` is set" in refused(with_data(current, "data-5"))
    current = space.get(SOURCES[what], "values")
    assert current["immutable"] is True
    assert "field is immutable when `immutable` is set" in refused({**current, "immutable": False})
    labelled = {**current, "metadata": {**current["metadata"], "labels": {"label1": "value1"}}}
    assert space.update(labelled)["metadata"]["labels"] == {"label1": "value1"}
    space.delete(SOURCES[what], "values")
    assert space.gone(SOURCES[what], "values")


@row(
    "Secrets should be able to mount in a volume regardless of a different secret existing"
    " with same name in different namespace"
)
def test_a_secret_of_the_same_name_elsewhere_is_another_one(space: Space):
    other = space.another()
    other.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other.name}})
    other.create(source("secret", "values", {"data-1": "another"}))
    space.create(source("secret", "values"))
    said = space.output(reader(shows("/v/data-1"), [volume("v", "secret", "values")]))
    assert said.splitlines() == ["-rw-r--r-- 0:0", "value-1"]
    other.delete("v1/Namespace", other.name)


@row("Projected combined should project all components that make up the projection API")
def test_one_volume_combines_config_map_secret_and_downward_api(space: Space):
    space.create(source("configMap", "map", {"configmap-data": "configmap-value-1"}))
    space.create(source("secret", "secret", {"secret-data": "secret-value-1"}))
    sources = [
        {"secret": {"name": "secret", "items": [{"key": "secret-data", "path": "my-secret"}]}},
        {"configMap": {"name": "map", "items": [{"key": "configmap-data", "path": "deep/my-map"}]}},
        {"downwardAPI": {"items": [{"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]
    said = space.output(
        reader(
            shows("/all/podname", "/all/my-secret", "/all/deep/my-map"),
            [{"name": "all", "projected": {"sources": sources}}],
        )
    )
    assert said.splitlines()[1::2] == ["reader", "secret-value-1", "configmap-value-1"]


@pytest.mark.serial
@row("EmptyDir wrapper volumes should not cause race condition when used for configmaps")
def test_five_pods_with_fifty_config_maps_each_start(space: Space):
    names = [f"racey-{number}" for number in range(50)]
    for name in names:
        space.create(source("configMap", name, {"data-1": "value-1"}))
    template = reader("sleep 10000", [volume(name, "configMap", name) for name in names])["spec"]
    space.create(
        {
            "apiVersion": "v1",
            "kind": "ReplicationController",
            "metadata": {"name": "racey"},
            "spec": {
                "replicas": 5,
                "selector": {"name": "racey"},
                "template": {
                    "metadata": {"labels": {"name": "racey"}},
                    "spec": {**template, "restartPolicy": "Always", "nodeName": next(iter(space.site.nodes))},
                },
            },
        }
    )
    space.wait(lambda: space.get("v1/ReplicationController", "racey")["status"].get("readyReplicas") == 5)
    assert not [each for each in space.list("v1/Event") if each["type"] == "Warning"]


@row("EmptyDir wrapper volumes should not conflict")
def test_a_secret_and_a_config_map_stand_side_by_side(space: Space):
    space.create(source("configMap", "map"))
    space.create(source("secret", "secret"))
    space.run(reader("sleep 3600", [volume("a", "secret", "secret"), volume("b", "configMap", "map")]))
