"""Secrets at rest, switched by the command line on a running server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.api.conftest import Cluster

NEEDLE = b"bm90LWZvci1ldmVyeWJvZHk="


def minikube(cluster: Cluster, *arguments: str) -> str:
    environment = {
        **os.environ,
        "MINIKUBE_DATA_DIR": str(cluster.root / "data"),
        "MINIKUBE_HTTPS_LISTEN_PORT": str(cluster.port),
    }
    done = subprocess.run(
        [sys.executable, "-m", "minikube", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def on_disk(cluster: Cluster) -> bytes:
    return b"".join(one.read_bytes() for one in Path(cluster.root / "data" / "server").glob("state.db*"))


def value(cluster: Cluster, name: str = "s") -> bytes:
    return cluster.kubectl("get", "secret", name, "-n", "default", "-o", "jsonpath={.data.x}").encode()


def test_secrets_are_encrypted_rotated_and_decrypted_on_a_running_server(own: Cluster) -> None:
    own.kubectl("create", "secret", "generic", "s", "-n", "default", "--from-literal=x=not-for-everybody")
    assert NEEDLE in on_disk(own)
    assert "Encryption: disabled" in minikube(own, "secrets-encrypt", "status")
    enabled = minikube(own, "secrets-encrypt", "enable")
    assert "Encryption: enabled" in enabled
    assert "Stage:      settled" in enabled
    assert NEEDLE not in on_disk(own)
    assert value(own) == NEEDLE
    assert minikube(own, "secrets-encrypt", "rotate").splitlines()[1] != enabled.splitlines()[1]
    assert own.stop() == 0
    own.start()
    assert value(own) == NEEDLE
    minikube(own, "secrets-encrypt", "disable")
    assert NEEDLE in on_disk(own)


def test_a_server_killed_while_it_encrypts_goes_on_after_the_restart(own: Cluster) -> None:
    manifests = "\n---\n".join(
        f"{{apiVersion: v1, kind: Secret, metadata: {{name: s{n}, namespace: default}}, stringData: {{x: 'v{n}'}}}}"
        for n in range(150)
    )
    own.kubectl("create", "--validate=false", "-f", "-", stdin=manifests)
    raw = ("create", "--raw", "/minikube/v1/secrets-encryption", "-f", "-")
    assert '"enabled":true' in own.kubectl(*raw, stdin='{"action": "enable"}')
    own.kill()
    own.start()
    own.wait(lambda: "Stage:      settled" in minikube(own, "secrets-encrypt", "status"))
    assert value(own, "s149") == b"djE0OQ=="
    assert b"djE0OQ==" not in on_disk(own)


def test_only_administrators_see_or_change_it(cluster: Cluster) -> None:
    path = "/minikube/v1/secrets-encryption"
    refused = cluster.refused("get", "--raw", path, "--as=bob")
    assert 'forbidden: User "bob" cannot get path "/minikube/v1/secrets-encryption"' in refused
    refused = cluster.refused(
        "create", "--raw", "/minikube/v1/secrets-encryption", "-f", "-", "--as=bob", stdin="{}"
    )
    assert "cannot post path" in refused
