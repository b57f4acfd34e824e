"""Files of keys and certificates."""

from __future__ import annotations

from pathlib import Path

from minikube.pki.certificates import write_private


def test_what_somebody_put_in_the_way_gets_nothing(tmp_path: Path) -> None:
    victim, theirs = tmp_path / "victim", tmp_path / "theirs"
    victim.write_text("untouched")
    kubeconfig = tmp_path / "kubeconfig.yaml"
    (tmp_path / "kubeconfig.yaml.new").symlink_to(victim)
    write_private(kubeconfig, b"secret")
    assert victim.read_text() == "untouched"
    theirs.touch(mode=0o666)
    (tmp_path / "kubeconfig.yaml.new").hardlink_to(theirs)
    write_private(kubeconfig, b"another secret")
    assert theirs.read_text() == ""
    assert kubeconfig.read_bytes() == b"another secret"
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
