"""What keeps a pod's volumes from being there."""

from __future__ import annotations

from minikube.node.pod.problems import ConfigProblem


class MountProblem(ConfigProblem):
    """Reason FailedMount; it may go away by itself, so it is tried again."""


def set_up_failed(name: str, why: object) -> MountProblem:
    """As the kubelet's volume manager words it; `name` is that of the pod's volume or of the persistent one."""
    return MountProblem(f'MountVolume.SetUp failed for volume "{name}" : {why}')


class Unmet(Exception):
    """The content of a volume can't be had; the message says why."""
