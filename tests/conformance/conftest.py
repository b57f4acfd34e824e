"""The shared cluster, and a namespace of its own for every test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import site as sites
from tests.conformance.site import Site
from tests.conformance.space import POD_START, Space

HOME = "MINIKUBE_TEST_SITE"
"""Variable that tells the workers of one run where their cluster is."""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[HOME] = tempfile.mkdtemp(prefix="mk-site-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        home = Path(os.environ.pop(HOME))
        sites.wait_closed(home)
        shutil.rmtree(home)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("conformance") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(2 * POD_START))


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with sites.joined(Path(os.environ[HOME])) as found:
        yield found


@pytest.fixture
def space(site: Site, request: pytest.FixtureRequest) -> Iterator[Space]:
    """A namespace for this test; it runs alone if it is marked `serial`."""
    alone = request.node.get_closest_marker("serial") is not None
    with sites.turn(Path(os.environ[HOME]), alone=alone), Space.made(site) as found:
        yield found
