"""One machine with real containers for all tests of this folder that need one, a namespace for each."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.machines import Machine, Network
from tests.node.pods import Namespace

_numbers = itertools.count()


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    with Network(f"n{os.getpid()}") as network:
        found = network.machine()
        found.serve()
        yield found


@pytest.fixture
def ns(machine: Machine) -> Iterator[Namespace]:
    namespace = Namespace(machine, f"t{next(_numbers)}")
    yield namespace
    namespace.close()
