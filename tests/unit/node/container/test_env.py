"""The environment of a container from all its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from minikube.api.core_v1 import (
    ConfigMapEnvSource,
    ConfigMapKeySelector,
    Container,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    FileKeySelector,
    ObjectFieldSelector,
    Pod,
    ResourceFieldSelector,
    ResourceRequirements,
    SecretKeySelector,
    Service,
    ServicePort,
    ServiceSpec,
)
from minikube.api.meta import ObjectMeta, replace_meta
from minikube.node.container import env_files
from minikube.node.container.env import Facts, Sources, resolve
from minikube.node.pod.problems import ConfigProblem
from tests.unit.node.seen import pod, wanted

FACTS = Facts("n1", ("10.0.0.1",), ("10.42.0.2",), {"cpu": "4", "memory": "8Gi"})
SOURCES = Sources(
    {"cm": {"k": "v", "other": "w"}}, {"s": {"password": "x"}}, {("files", "app.env"): {"FROM_FILE": "f"}}
)
WEB = Service(
    metadata=ObjectMeta(name="my-web", namespace="default"),
    spec=ServiceSpec(cluster_ip="10.43.0.5", ports=(ServicePort(name="http", port=80, protocol="TCP"),)),
)


def given(*env: EnvVar, services: tuple[Service, ...] = (), of: Pod | None = None, **more: Any) -> dict[str, str]:
    each = wanted(env=env, **more)
    subject = of or pod()
    subject = replace(subject, spec=replace(subject.spec, containers=(each,)))
    return dict(resolve(subject, each, services, SOURCES, FACTS))


def from_source(**source: Any) -> EnvVar:
    return EnvVar(name="X", value_from=EnvVarSource(**source))


def of_field(path: str) -> EnvVar:
    return from_source(field_ref=ObjectFieldSelector(field_path=path))


def test_later_values_may_use_earlier_ones() -> None:
    found = given(
        EnvVar(name="A", value="1"), EnvVar(name="B", value="$(A)$(C)$$(A)"), EnvVar(name="C", value="$(B)")
    )
    assert found == {"A": "1", "B": "1$(C)$(A)", "C": "1$(C)$(A)"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "shop"),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "n1"),
        ("status.hostIP", "10.0.0.1"),
        ("status.podIP", "10.42.0.2"),
        ("status.podIPs", "10.42.0.2"),
    ],
)
def test_fields_of_the_pod(path: str, value: str) -> None:
    assert given(of_field(path), of=replace_meta(pod(), labels={"app": "shop"})) == {"X": value}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "", "2"),
        ("limits.cpu", "1m", "1250"),
        ("requests.memory", "1Mi", "32"),
        ("requests.memory", "", "33554432"),
        ("limits.memory", "1Gi", "8"),
        ("requests.cpu", "", "0"),
    ],
)
def test_resources_are_divided_and_rounded_up_and_unlimited_is_what_the_node_has(
    resource: str, divisor: str, value: str
) -> None:
    resources = ResourceRequirements(limits={"cpu": "1250m"}, requests={"memory": "32Mi"})
    source = from_source(resource_field_ref=ResourceFieldSelector(resource=resource, divisor=divisor or None))
    assert given(source, resources=resources) == {"X": value}


def test_keys_of_config_maps_secrets_and_files() -> None:
    assert given(from_source(config_map_key_ref=ConfigMapKeySelector(name="cm", key="k"))) == {"X": "v"}
    assert given(from_source(secret_key_ref=SecretKeySelector(name="s", key="password"))) == {"X": "x"}
    file = FileKeySelector(volume_name="files", path="app.env", key="FROM_FILE")
    assert given(from_source(file_key_ref=file)) == {"X": "f"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"config_map_key_ref": ConfigMapKeySelector(name="no", key="k")}, 'configmap "no" not found'),
        ({"config_map_key_ref": ConfigMapKeySelector(name="cm", key="no")},
         "couldn't find key no in ConfigMap default/cm"),
        ({"secret_key_ref": SecretKeySelector(name="s", key="no")}, "couldn't find key no in Secret default/s"),
        ({"file_key_ref": FileKeySelector(volume_name="files", path="no", key="k")}, "file not found: no"),
        ({"file_key_ref": FileKeySelector(volume_name="files", path="app.env", key="no")},
         "environment variable key no not found in file app.env"),
    ],
)  # fmt: skip
def test_what_is_missing_is_a_problem_unless_it_is_optional(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigProblem) as raised:
        given(from_source(**source))
    assert str(raised.value) == message
    [(name, selector)] = source.items()
    assert given(from_source(**{name: replace(selector, optional=True)})) == {}


def test_whole_config_maps_come_first_with_their_prefix() -> None:
    whole = EnvFromSource(prefix="P_", config_map_ref=ConfigMapEnvSource(name="cm"))
    found = given(EnvVar(name="P_k", value="$(P_other)"), env_from=(whole,))
    assert found == {"P_k": "w", "P_other": "w"}


def test_services_are_linked_unless_the_pod_says_no() -> None:
    found = given(services=(WEB,))
    assert found["MY_WEB_SERVICE_HOST"] == "10.43.0.5"
    assert found["MY_WEB_SERVICE_PORT"] == found["MY_WEB_SERVICE_PORT_HTTP"] == "80"
    assert found["MY_WEB_PORT"] == found["MY_WEB_PORT_80_TCP"] == "tcp://10.43.0.5:80"
    assert given(services=(WEB,), of=pod(enable_service_links=False)) == {}
    elsewhere = replace_meta(WEB, namespace="other")
    assert given(services=(elsewhere,)) == {}


def test_an_environment_file_has_quoted_values_and_comments() -> None:
    assert env_files.parse("A='1'\n\n# no\nB='two\nlines' \nC=''") == {"A": "1", "B": "two\nlines", "C": ""}
    for wrong in ("A=1", "A = '1'", "A='1", "A='1' B='2'"):
        with pytest.raises(ValueError, match="invalid environment variable format at line 1"):
            env_files.parse(wrong)


def test_an_environment_file_stays_in_its_volume(tmp_path: Path) -> None:
    root = tmp_path / "volume"
    root.mkdir()
    (root / "app.env").write_text("A='1'")
    (tmp_path / "secret").write_text("B='2'")
    (root / "link").symlink_to(tmp_path / "secret")
    assert env_files.read(root / "app.env", root) == {"A": "1"}
    assert env_files.read(root / "none", root) is None
    with pytest.raises(ConfigProblem):
        env_files.read(root / "link", root)


def test_the_files_that_are_needed_are_known_beforehand() -> None:
    file = FileKeySelector(volume_name="v", path="p", key="k")
    assert env_files.wanted_files(Container(env=(from_source(file_key_ref=file),))) == [("v", "p")]
