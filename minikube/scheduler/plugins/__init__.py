"""The scheduler's plugins, in the order they are asked."""

from __future__ import annotations

from typing import Any

from minikube.scheduler.plugins.balanced_allocation import BalancedAllocation
from minikube.scheduler.plugins.image_locality import ImageLocality
from minikube.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from minikube.scheduler.plugins.node_affinity import NodeAffinity
from minikube.scheduler.plugins.node_name import NodeName
from minikube.scheduler.plugins.node_ports import NodePorts
from minikube.scheduler.plugins.node_unschedulable import NodeUnschedulable
from minikube.scheduler.plugins.node_volume_limits import NodeVolumeLimits
from minikube.scheduler.plugins.resources_fit import NodeResourcesFit
from minikube.scheduler.plugins.taint_toleration import TaintToleration
from minikube.scheduler.plugins.topology_spread import PodTopologySpread
from minikube.scheduler.plugins.volume_binding import VolumeBinding
from minikube.scheduler.plugins.volume_restrictions import VolumeRestrictions
from minikube.scheduler.plugins.volume_zone import VolumeZone

PLUGINS: tuple[type[Any], ...] = (
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    NodeResourcesFit,
    VolumeRestrictions,
    NodeVolumeLimits,
    VolumeBinding,
    VolumeZone,
    PodTopologySpread,
    InterPodAffinity,
    BalancedAllocation,
    ImageLocality,
)
