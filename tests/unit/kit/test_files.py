"""Files are whole or as they were, and nobody else's."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from minikube.kit.files import write_private


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


def test_what_finds_no_room_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """The kernel takes a part of a write before it refuses the rest."""
    path = tmp_path / "keys.json"
    write_private(path, b"the old ones")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_private(path, b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"the old ones"
