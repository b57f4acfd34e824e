"""Registries: what registries.yaml becomes for containerd, and which credentials fit an image."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from minikube.api.core_v1 import Secret
from minikube.node.container.keyring import credentials, matches
from minikube.node.runtime.base import Auth, Image, ImagePullFailed
from minikube.node.runtime.pulls import pull
from minikube.node.runtime.registries import Registries
from minikube.node.runtime.simulated import SimulatedRuntime
from minikube.settings import Settings, SettingsError

FILE = """
mirrors:
  docker.io: {endpoint: ["https://mirror:5000"]}
  "*": {endpoint: ["http://any:80"]}
configs:
  "mirror:5000":
    auth: {username: me, password: secret}
    tls: {ca_file: /ca.pem}
  reg.example:
    auth: {auth: dTpw}
    tls: {insecure_skip_verify: true}
"""


def load(tmp_path: Path, text: str) -> Registries:
    path = tmp_path / "registries.yaml"
    path.write_text(text)
    return Registries.load(Settings(private_registry=path))


def test_mirrors_and_tls_become_hosts_files(tmp_path: Path) -> None:
    load(tmp_path, FILE).write(tmp_path / "certs.d")
    hub = (tmp_path / "certs.d/docker.io/hosts.toml").read_text()
    assert 'server = "https://registry-1.docker.io"' in hub
    assert '[host."https://mirror:5000"]' in hub
    assert 'ca = "/ca.pem"' in hub
    assert "server" not in (tmp_path / "certs.d/_default/hosts.toml").read_text()
    assert "skip_verify = true" in (tmp_path / "certs.d/reg.example/hosts.toml").read_text()


def test_a_registry_has_its_tls_as_a_host_and_as_the_server(tmp_path: Path) -> None:
    """Asked last without its CA, it hides "not found" behind a certificate that nobody trusts."""
    server, _, host = load(tmp_path, FILE).hosts()["mirror:5000"].partition('[host."https://mirror:5000"]')
    assert 'server = "https://mirror:5000"\nca = "/ca.pem"' in server
    assert '  ca = "/ca.pem"' in host


@pytest.mark.parametrize(
    "text",
    [
        'mirrors: {ghcr.io: {endpoint: ["https://m"], rewrites: {"^a": b}}}',
        "configs: {reg.example: {tls: {cafile: /ca.pem}}}",
        "configs: {reg.example: {auth: {user: me}}}",
    ],
)
def test_what_is_not_understood_is_refused_rather_than_left_out(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="unknown field"):
        load(tmp_path, text)


def test_credentials_are_the_mirrors_or_the_registrys_own(tmp_path: Path) -> None:
    found = load(tmp_path, FILE)
    assert found.auth("docker.io/library/busybox:1") == Auth("me", "secret")
    assert found.auth("reg.example/app:1") == Auth("u", "p")
    assert found.auth("other.example/app:1") is None


def test_no_file_is_no_configuration_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    assert Registries.load(Settings(private_registry=tmp_path / "none")) == Registries()
    with pytest.raises(SettingsError, match=r"registries\.yaml"):
        load(tmp_path, "mirror: {}")


@pytest.mark.parametrize(
    ("pattern", "reference", "fits"),
    [
        ("docker.io", "docker.io/library/busybox:1", True),
        ("*.example.com", "reg.example.com/a:1", True),
        ("*.example.com", "example.com/a:1", False),
        ("reg.example.com/team", "reg.example.com/team/a:1", True),
        ("reg.example.com/team", "reg.example.com/other/a:1", False),
        ("reg.example.com", "reg.example.com:5000/a:1", False),
        ("localhost:5000", "localhost:5000/a:1", True),
    ],
)
def test_a_registry_path_fits_an_image(pattern: str, reference: str, *, fits: bool) -> None:
    assert matches(pattern, reference) is fits


def secret(auths: dict[str, dict[str, str]]) -> Secret:
    body = base64.b64encode(json.dumps({"auths": auths}).encode()).decode()
    return Secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": body})


def test_the_most_specific_credentials_come_first() -> None:
    one = secret({"reg.example": {"username": "wide", "password": "w"}})
    two = secret({"https://reg.example/team": {"auth": base64.b64encode(b"narrow:n").decode()}})
    assert credentials([one, two], "reg.example/team/app") == (Auth("narrow", "n"), Auth("wide", "w"))


def test_docker_hub_has_many_names_and_broken_secrets_count_for_nothing() -> None:
    hub = secret({"https://index.docker.io/v1/": {"username": "me", "password": "p"}})
    broken = Secret(data={".dockerconfigjson": base64.b64encode(b"{").decode()})
    assert credentials([broken, hub], "busybox") == (Auth("me", "p"),)


def test_the_legacy_form_has_no_auths_key() -> None:
    body = base64.b64encode(json.dumps({"reg.example": {"username": "u", "password": "p"}}).encode()).decode()
    assert credentials([Secret(data={".dockercfg": body})], "reg.example/a") == (Auth("u", "p"),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            'mirrors: {ghcr.io: {endpoint: ["https://m"], rewrite: {"^(a": b}}}',
            "ghcr.io.rewrite: .*missing closing",
        ),
        (
            'mirrors: {ghcr.io: {endpoint: ["https://m/x"], rewrite: {"^a": b}}}',
            "needs an endpoint at /v2, not at /x",
        ),
    ],
)
def test_a_rewrite_that_cannot_be_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load(tmp_path, text)


REWRITING = """
mirrors:
  docker.io:
    endpoint: ["http://mirror:5000", "https://other/v2/proxy"]
    rewrite:
      "^rancher/(.*)": "mirrorproject/rancher-images/$1"
      "^(?P<who>[a-z]+)/app$": "by-${who}/$$app"
"""


def test_mirrors_are_asked_by_the_names_that_they_have_images_under(tmp_path: Path) -> None:
    found = load(tmp_path, REWRITING)
    name = "mirrorproject/rancher-images/coredns-coredns:1.6.3"
    asked = list(found.rewritten("docker.io/rancher/coredns-coredns:1.6.3"))
    assert asked == [f"mirror:5000/{name}", f"other/proxy/{name}"]
    [first, _] = found.rewritten("docker.io/team/app@sha256:abc")
    assert first == "mirror:5000/by-team/$app@sha256:abc"
    assert list(found.rewritten("docker.io/library/busybox:1")) == []
    assert list(found.rewritten("quay.io/rancher/pause:1")) == []
    assert 'server = "http://mirror:5000"' in found.hosts()["mirror:5000"]


def test_an_endpoint_with_a_path_is_asked_at_that_path(tmp_path: Path) -> None:
    text = 'mirrors: {docker.io: {endpoint: ["https://m/v2/proxy", "https://m/v2", "https://m"]}}'
    hosts = load(tmp_path, text).hosts()["docker.io"].split("[host.")
    assert ["override_path = true" in each for each in hosts[1:]] == [True, False, False]


class Registry(SimulatedRuntime):
    """Has one image, for one user."""

    def __init__(self, name: str, user: str) -> None:
        super().__init__()
        self._name, self._user = name, user
        self.asked: list[tuple[str, str]] = []

    async def pull_image(self, reference: str, *, auth: Auth | None = None, known_as: str = "") -> Image:
        self.asked.append((reference, auth.username if auth else ""))
        if reference != self._name or (auth.username if auth else "") != self._user:
            raise ImagePullFailed(f"{reference}: denied")
        return await super().pull_image(reference, auth=auth, known_as=known_as)


async def test_an_image_of_another_name_is_kept_under_the_one_that_was_asked_for(tmp_path: Path) -> None:
    runtime = Registry("other/proxy/mirrorproject/rancher-images/pause:3", "")
    found = await pull(runtime, load(tmp_path, REWRITING), "rancher/pause:3")
    assert found.image.tags == ("docker.io/rancher/pause:3",)
    assert runtime.asked[0][0] == "mirror:5000/mirrorproject/rancher-images/pause:3"


async def test_the_name_itself_is_tried_last_with_every_credential_that_fits(tmp_path: Path) -> None:
    runtime = Registry("rancher/pause:3", "second")
    auths = (Auth(username="first"), Auth(username="second"))
    found = await pull(runtime, load(tmp_path, REWRITING), "rancher/pause:3", auths)
    assert found.auth == Auth(username="second")
    assert runtime.asked[-2:] == [("rancher/pause:3", "first"), ("rancher/pause:3", "second")]
    with pytest.raises(ImagePullFailed):
        await pull(runtime, load(tmp_path, REWRITING), "rancher/pause:4", auths)
