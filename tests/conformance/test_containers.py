"""node/containers: what runs when image and pod each have a command and arguments."""

from __future__ import annotations

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Space, pod

pytestmark = pytest.mark.conformance


@row("Containers should be able to override the image's default command (container entrypoint)")
def test_a_command_of_the_pod_replaces_that_of_the_image(space: Space):
    assert space.output(pod("pod", "echo", "override")) == "override\n"
