"""What the commands say to whoever may not, or is on the wrong machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from minikube.cli import main
from minikube.commands.status import full_disk


def said(*arguments: str, environment: Mapping[str, str | None]) -> str:
    """The output of a command that must fail."""
    done = CliRunner().invoke(main, arguments, env=environment)
    assert done.exit_code == 1, done.output
    return done.output


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
def test_who_is_not_root_is_told_so(tmp_path: Path) -> None:
    private = tmp_path / "data"
    (private / "server/tls").mkdir(parents=True)
    private.chmod(0o700)
    tmp_path.chmod(0o755)
    environment = {"MINIKUBE_DATA_DIR": str(private), "MINIKUBE_RUN_DIR": str(private)}
    os.seteuid(65534)
    try:
        told = said("certificate", "check", environment=environment)
    finally:
        os.seteuid(0)
    assert told == f"Error: {private / 'server/tls'}: Permission denied; run it as root\n"


def test_kubectl_on_a_machine_without_a_server(tmp_path: Path) -> None:
    missing = tmp_path / "kubeconfig.yaml"
    environment = {"KUBECONFIG": None, "MINIKUBE_WRITE_KUBECONFIG": str(missing)}
    told = said("kubectl", "get", "nodes", environment=environment)
    assert told == f"Error: {missing}: No such file or directory; run this on a server, as root\n"


def test_kubectl_gets_every_argument(tmp_path: Path) -> None:
    (told := tmp_path / "kubectl").write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    told.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "KUBECONFIG": "/dev/null"}
    arguments = ["-n", "x", "exec", "-i", "web", "--", "sh", "-c", "echo", "--help"]
    command = [sys.executable, "-m", "minikube", "kubectl", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split("|")[:-1] == arguments


def test_a_disk_without_room_is_a_problem() -> None:
    assert list(full_disk(Path("/data"), 10**10)) == []
    (told,) = full_disk(Path("/data"), 3_000_000)
    assert told.startswith("the disk of /data has 3 MB left: without any, the API reads but refuses every write")


def test_a_machine_that_has_not_joined_yet(tmp_path: Path) -> None:
    environment = {
        "KUBECONFIG": None,
        "MINIKUBE_DATA_DIR": str(tmp_path),
        "MINIKUBE_RUN_DIR": str(tmp_path),
        "MINIKUBE_SERVER": "https://10.0.0.1:6443",
        "MINIKUBE_WRITE_KUBECONFIG": str(tmp_path / "kubeconfig.yaml"),
    }
    assert "- this machine has not joined https://10.0.0.1:6443 yet" in said("status", environment=environment)
