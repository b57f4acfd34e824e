"""Where images come from: the node's registries.yaml (mirrors, credentials, TLS), in the form that k3s has it.

    mirrors:
      docker.io:
        endpoint: ["https://mirror.example:5000"]
        rewrite: {"^library/(.*)": "hub/$1"}
    configs:
      "mirror.example:5000":
        auth: {username: me, password: secret}
        tls: {ca_file: /etc/ca.pem, cert_file: …, key_file: …, insecure_skip_verify: false}

Mirrors and TLS become containerd's hosts.toml files; credentials go with each pull. Of names that a mirror has
otherwise containerd knows nothing: they are pulled as such, and kept under the name that was asked for (`pulls`).
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import yaml

from minikube.node.runtime.base import Auth
from minikube.schema import regexp
from minikube.schema.regexp import Regexp
from minikube.settings import Settings, SettingsError

DOCKER_HUB = "registry-1.docker.io"
EVERY = "*"


class Mirror(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    endpoint: tuple[str, ...] = ()
    rewrite: Mapping[str, str] = {}
    """Expression over the name of a repository -> the name that the endpoints have instead, both as Go has them."""

    def rewritten(self, repository: str) -> str:
        """By the first expression that holds; empty: none does."""
        for pattern, template in self.rewrite.items():
            if Regexp(pattern).found_in(repository):
                return Regexp(pattern).replaced_in(repository, template)
        return ""


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    username: str = ""
    password: str = ""
    auth: str = ""
    """base64 of username:password, as docker keeps it."""
    identity_token: str = ""


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure_skip_verify: bool = False


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    auth: Credentials = Credentials()
    tls: Tls = Tls()


class Registries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mirrors: Mapping[str, Mirror] = {}
    configs: Mapping[str, Config] = {}

    @classmethod
    def load(cls, settings: Settings) -> Registries:
        """Nothing where there is no file. Raises SettingsError."""
        path = settings.private_registry
        try:
            found = msgspec.convert(yaml.safe_load(path.read_text()) or {}, cls)
            found._check()
            return found
        except FileNotFoundError:
            return cls()
        except (yaml.YAMLError, msgspec.ValidationError, OSError, ValueError) as error:
            raise SettingsError(f"{path}: {error}") from error

    def _check(self) -> None:
        """Raises ValueError: a rewrite that cannot be."""
        for name, mirror in self.mirrors.items():
            for pattern in mirror.rewrite:
                if why := regexp.problem(pattern):
                    raise ValueError(f"mirrors.{name}.rewrite: {why}")
            for endpoint in mirror.endpoint if mirror.rewrite else ():
                path = urlsplit(endpoint).path.rstrip("/")
                if path not in ("", "/v2") and not path.startswith("/v2/"):
                    raise ValueError(f"mirrors.{name}: a rewrite needs an endpoint at /v2, not at {path}")

    def rewritten(self, reference: str) -> Iterator[str]:
        """Full names under which the mirrors of a full image name have it, where they have it under another."""
        host, _, rest = reference.partition("/")
        mirror = self.mirrors.get(host) or self.mirrors.get(EVERY) or Mirror()
        tagged, _, digest = rest.partition("@")
        repository, _, tag = tagged.partition(":")
        version = f"@{digest}" if digest else f":{tag}"
        other = mirror.rewritten(repository)
        for endpoint in mirror.endpoint if other else ():
            place = urlsplit(endpoint)
            path = place.path.rstrip("/").removeprefix("/v2").lstrip("/")
            yield "/".join(filter(None, (place.netloc, path, other))) + version

    def auth(self, reference: str) -> Auth | None:
        """Credentials for the registry of a full image name, or for the mirror that stands in for it."""
        host = reference.partition("/")[0]
        mirror = self.mirrors.get(host) or self.mirrors.get(EVERY) or Mirror()
        for name in (*(urlsplit(endpoint).netloc for endpoint in mirror.endpoint), host):
            given = self.configs.get(name, Config()).auth
            if given != Credentials():
                return _auth(given)
        return None

    def hosts(self) -> Mapping[str, str]:
        """Directory under certs.d -> its hosts.toml."""
        names = self.mirrors.keys() | self.configs.keys() | self._bases().keys()
        return {"_default" if host == EVERY else host: self._hosts_of(host) for host in sorted(names)}

    def _bases(self) -> Mapping[str, str]:
        """Mirrors that are asked for images by name -> their URLs."""
        endpoints = [each for mirror in self.mirrors.values() if mirror.rewrite for each in mirror.endpoint]
        return {place.netloc: f"{place.scheme}://{place.netloc}" for place in map(urlsplit, endpoints)}

    def _server(self, host: str) -> str:
        usual = f"https://{DOCKER_HUB if host == 'docker.io' else host}"
        return self._bases().get(host, usual)

    def _hosts_of(self, host: str) -> str:
        """The registry itself is there twice, with its TLS: as the server, whose answer is the last and the one
        that a user is told, and as a host, since containerd 1.6 leaves out a file that has none.
        """
        lines = []
        if host != EVERY:
            lines += [f"server = {json.dumps(self._server(host))}", *_trust(self.configs.get(host, Config()).tls)]
        endpoints = [*self.mirrors.get(host, Mirror()).endpoint]
        if host in self.configs or host in self._bases():
            endpoints.append(self._server(host))
        for endpoint in endpoints:
            tls = self.configs.get(urlsplit(endpoint).netloc, self.configs.get(host, Config())).tls
            lines += ["", f"[host.{json.dumps(endpoint)}]", '  capabilities = ["pull", "resolve"]']
            path = urlsplit(endpoint).path
            if path not in ("", "/") and not path.endswith("/v2"):
                lines.append("  override_path = true")
            lines += [f"  {line}" for line in _trust(tls)]
        return "\n".join(lines) + "\n"

    def write(self, directory: Path) -> None:
        """Exactly these hosts.toml files below `directory`. Blocking."""
        shutil.rmtree(directory, ignore_errors=True)
        for name, text in self.hosts().items():
            file = directory / name / "hosts.toml"
            file.parent.mkdir(parents=True)
            file.write_text(text)


def _trust(tls: Tls) -> list[str]:
    """The lines of hosts.toml about TLS."""
    lines = []
    if tls.ca_file:
        lines.append(f"ca = {json.dumps(tls.ca_file)}")
    if tls.cert_file:
        lines.append(f"client = [[{json.dumps(tls.cert_file)}, {json.dumps(tls.key_file)}]]")
    if tls.insecure_skip_verify:
        lines.append("skip_verify = true")
    return lines


def _auth(given: Credentials) -> Auth:
    username, password = given.username, given.password
    if given.auth:
        username, _, password = base64.b64decode(given.auth).decode().partition(":")
    return Auth(username=username, password=password, identity_token=given.identity_token)
