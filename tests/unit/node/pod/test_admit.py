"""Pods that a node refuses although they are bound to it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from minikube.api.core_v1 import (
    ContainerPort,
    Node,
    NodeSpec,
    NodeStatus,
    Pod,
    PodOS,
    PodSecurityContext,
    PodStatus,
    ResourceRequirements,
    Sysctl,
    Taint,
    Toleration,
)
from minikube.api.meta import ObjectMeta
from minikube.node.pod.admit import refusal
from tests.unit.node.seen import pod, wanted

NODE = Node(
    metadata=ObjectMeta(name="n", labels={"zone": "a"}),
    status=NodeStatus(allocatable={"cpu": "2", "memory": "1Gi", "pods": "2"}),
)
TAINTED = replace(NODE, spec=NodeSpec(taints=(Taint(key="gone", effect="NoExecute"),)))


def asking(**amounts: str) -> Pod:
    return pod(main=(wanted(resources=ResourceRequirements(requests=amounts)),))


def listening(port: int) -> Pod:
    return pod(main=(wanted(ports=(ContainerPort(container_port=80, host_port=port),)),))


def setting(name: str, **more: Any) -> Pod:
    return pod(security_context=PodSecurityContext(sysctls=(Sysctl(name=name, value="1"),)), **more)


@pytest.mark.parametrize(
    ("subject", "others", "reason"),
    [
        (pod(), (), None),
        (asking(cpu="2"), (), None),
        (asking(cpu="2001m"), (), "OutOfcpu"),
        (asking(cpu="1"), (asking(cpu="1500m"),), "OutOfcpu"),
        (asking(cpu="1"), (replace(asking(cpu="1500m"), status=PodStatus(phase="Succeeded")),), None),
        (asking(memory="2Gi"), (), "OutOfmemory"),
        (asking(**{"example.com/gpu": "1"}), (), None),
        (pod(), (pod(), pod()), "OutOfpods"),
        (pod(node_selector={"zone": "b"}), (), "NodeAffinity"),
        (listening(80), (listening(80),), "NodePorts"),
        (listening(80), (listening(81),), None),
        (pod(os=PodOS(name="windows")), (), "PodOSNotSupported"),
        (setting("kernel.shm_rmid_forced"), (), None),
        (setting("kernel.msgmax"), (), "SysctlForbidden"),
        (setting("net/ipv4/tcp_syncookies"), (), None),
        (setting("net.ipv4.tcp_syncookies", host_network=True), (), "SysctlForbidden"),
    ],
)
def test_a_node_refuses_what_it_cannot_run(subject: Pod, others: tuple[Pod, ...], reason: str | None) -> None:
    found = refusal(subject, NODE, others)
    assert (found.reason if found else None) == reason


def test_the_message_has_the_amounts() -> None:
    found = refusal(asking(cpu="1"), NODE, (asking(cpu="1500m"),))
    assert found is not None
    assert found.message == "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000"


def test_a_no_execute_taint_refuses_what_does_not_tolerate_it() -> None:
    tolerant = pod(tolerations=(Toleration(key="gone", operator="Exists"),))
    found = refusal(pod(), TAINTED, ())
    assert found is not None
    assert found.reason == "TaintToleration"
    assert refusal(tolerant, TAINTED, ()) is None


def test_a_node_that_shuts_down_takes_no_more_pods() -> None:
    found = refusal(pod(), NODE, (), shutting_down=True)
    assert found is not None
    assert found.reason == "NodeShutdown"
