"""What the kernel tells of a directory's files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from minikube.kit.inotify import NextChange, stirring


async def test_files_that_come_change_and_go_are_told(tmp_path: Path):
    there, changed = tmp_path / "there", asyncio.Event()
    with stirring(tmp_path, changed):
        for happens in (
            lambda: there.write_text("a"),
            lambda: there.write_text("b"),
            lambda: there.rename(tmp_path / "moved"),
            lambda: (tmp_path / "moved").unlink(),
        ):
            changed.clear()
            happens()
            await asyncio.wait_for(changed.wait(), 5)


async def test_only_the_file_that_is_asked_about(tmp_path: Path):
    changed, other = asyncio.Event(), asyncio.Event()
    with stirring(tmp_path, changed, only="mine"), stirring(tmp_path, other):
        (tmp_path / "theirs").touch()
        await asyncio.wait_for(other.wait(), 5)
        assert not changed.is_set()
        (tmp_path / "mine").touch()
        await asyncio.wait_for(changed.wait(), 5)


async def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError), stirring(tmp_path / "none", asyncio.Event()):
        pass


async def test_many_wait_for_the_next_change_over_one_descriptor(tmp_path: Path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with NextChange() as changes, changes:
        one, same, other = changes.of(tmp_path / "a"), changes.of(tmp_path / "a"), changes.of(tmp_path / "b")
        assert len(os.listdir("/proc/self/fd")) == before + 1
        (tmp_path / "a" / "x").touch()
        await asyncio.wait_for(asyncio.shield(one), 5)
        assert same.done()
        assert not other.done()
        again = changes.of(tmp_path / "a")
        (tmp_path / "a" / "x").write_text("x")
        await asyncio.wait_for(asyncio.shield(again), 5)
        with pytest.raises(FileNotFoundError):
            changes.of(tmp_path / "none")
    assert len(os.listdir("/proc/self/fd")) == before
