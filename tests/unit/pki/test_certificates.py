"""Files of keys and certificates."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import yaml

from minikube.pki.server import ensure_server_pki, write_kubeconfig
from minikube.settings import Settings


def test_the_key_in_a_kubeconfig_names_its_algorithm_and_fits_its_certificate(tmp_path: Path) -> None:
    """Java's fabric8 takes a key whose first line does not say EC for an RSA key."""
    path, pair = tmp_path / "kubeconfig.yaml", tmp_path / "pair.pem"
    write_kubeconfig(path, ensure_server_pki(Settings(data_dir=tmp_path), ["10.0.0.1"]), 6443)
    user = yaml.safe_load(path.read_text())["users"][0]["user"]
    key = base64.b64decode(user["client-key-data"])
    assert key.startswith(b"-----BEGIN EC PRIVATE KEY-----")
    pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(pair)
