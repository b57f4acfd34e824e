"""A network of machines for a test; everything on them is gone afterwards."""

import os
from collections.abc import Iterator

import pytest

from tests.machines import Network


@pytest.fixture
def network() -> Iterator[Network]:
    with Network(f"c{os.getpid()}") as found:
        yield found
