"""Who may use images that are here."""

from __future__ import annotations

from pathlib import Path

import pytest

from minikube.node.runtime.base import Auth
from minikube.node.runtime.pull_records import PullRecords
from minikube.settings import Settings, SettingsError

MINE, OTHER = Auth(username="me", password="a"), Auth(username="you", password="b")


def records(tmp_path: Path, policy: str = "NeverVerifyPreloadedImages") -> PullRecords:
    return PullRecords(Settings(data_dir=tmp_path, image_pull_credentials_verification_policy=policy))


def test_what_was_pulled_with_a_pods_credentials_is_for_pods_that_have_them(tmp_path: Path) -> None:
    found = records(tmp_path)
    found.begin("reg/team/app:1")
    found.pulled("reg/team/app:1", "sha256:1", MINE)
    for each in (found, records(tmp_path)):  # also after a restart
        assert not each.for_everybody("reg/team/app:1", "sha256:1")
        assert each.opens("reg/team/app:2", "sha256:1", (OTHER, MINE))
        assert not each.opens("reg/team/app:1", "sha256:1", (OTHER,))
        assert not each.for_everybody("reg/other/app:1", "sha256:1")  # the same image by another name


def test_what_was_pulled_without_is_for_everybody(tmp_path: Path) -> None:
    found = records(tmp_path)
    found.pulled("app", "sha256:1", MINE)
    found.pulled("docker.io/library/app:2", "sha256:1", None)
    assert found.for_everybody("app", "sha256:1")


def test_images_that_nobody_pulled_are_for_everybody_unless_all_are_verified(tmp_path: Path) -> None:
    assert records(tmp_path).for_everybody("app", "sha256:1")
    assert not records(tmp_path, "AlwaysVerify").for_everybody("app", "sha256:1")


def test_a_pull_that_was_cut_off_leaves_no_image_for_everybody(tmp_path: Path) -> None:
    found = records(tmp_path)
    found.begin("app")
    assert not records(tmp_path).for_everybody("app", "sha256:1")
    found.failed("app")
    assert records(tmp_path).for_everybody("app", "sha256:1")


def test_nothing_is_verified_where_nobody_wants_it(tmp_path: Path) -> None:
    found = records(tmp_path, "NeverVerify")
    found.pulled("app", "sha256:1", MINE)
    assert found.for_everybody("app", "sha256:1")


def test_an_image_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    found = records(tmp_path)
    found.pulled("app", "sha256:1", MINE)
    found.forget(["sha256:1", "sha256:2"])
    assert found.for_everybody("app", "sha256:1")


def test_a_policy_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="NeverVerify, NeverVerifyPreloadedImages, AlwaysVerify"):
        records(tmp_path, "Sometimes")
