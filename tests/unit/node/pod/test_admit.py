"""Pods that a node refuses although they are bound to it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from minikube.api.core_v1 import (
    AppArmorProfile,
    ContainerPort,
    Node,
    NodeFeatures,
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
from minikube.node.pod.admit import Abilities, admission
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
    found = admission(subject, NODE, others).refusal
    assert (found.reason if found else None) == reason


def test_the_message_has_the_amounts() -> None:
    found = admission(asking(cpu="1"), NODE, (asking(cpu="1500m"),)).refusal
    assert found is not None
    assert found.message == "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000"


def test_a_no_execute_taint_refuses_what_does_not_tolerate_it() -> None:
    tolerant = pod(tolerations=(Toleration(key="gone", operator="Exists"),))
    found = admission(pod(), TAINTED, ()).refusal
    assert found is not None
    assert found.reason == "TaintToleration"
    assert admission(tolerant, TAINTED, ()).refusal is None


def test_a_node_that_shuts_down_takes_no_more_pods() -> None:
    found = admission(pod(), NODE, (), shutting_down=True).refusal
    assert found is not None
    assert found.reason == "NodeShutdown"


def test_sysctls_that_the_administrator_allows_are_let_through() -> None:
    able = Abilities(unsafe_sysctls=("net.core.somaxconn", "kernel.msg*"))
    for name in ("net.core.somaxconn", "net/core/somaxconn", "kernel.msgmax"):
        assert admission(setting(name), NODE, (), able).refusal is None
    for subject in (setting("net.core.rmem_max"), setting("net.core.somaxconn", host_network=True)):
        found = admission(subject, NODE, (), able).refusal
        assert found is not None
        assert found.reason == "SysctlForbidden"


def secured(**more: Any) -> Pod:
    return pod(security_context=PodSecurityContext(**more))


def test_no_profile_of_apparmor_where_there_is_no_apparmor() -> None:
    without = Abilities(apparmor=False)
    subject = secured(app_armor_profile=AppArmorProfile(type="RuntimeDefault"))
    found = admission(subject, NODE, (), without).refusal
    assert found is not None
    assert (found.reason, found.message) == (
        "AppArmor",
        "Cannot enforce AppArmor: AppArmor is not enabled on the host",
    )
    assert admission(subject, NODE, ()).refusal is None
    unconfined = secured(app_armor_profile=AppArmorProfile(type="Unconfined"))
    assert admission(unconfined, NODE, (), without).refusal is None


def test_strict_groups_need_a_runtime_that_can() -> None:
    subject = secured(supplemental_groups_policy="Strict")
    found = admission(subject, NODE, ()).refusal
    assert found is not None
    assert found.reason == "SupplementalGroupsPolicyNotSupported"
    able = replace(NODE, status=replace(NODE.status, features=NodeFeatures(supplemental_groups_policy=True)))
    assert admission(subject, able, ()).refusal is None


def sized(uid: str, priority: int = 0, limits: bool = False, **amounts: str) -> Pod:
    given = ResourceRequirements(requests=amounts, limits=amounts if limits else {})
    found = pod(main=(wanted(resources=given),), priority=priority)
    return replace(found, metadata=replace(found.metadata, uid=uid))


ROOMY = replace(NODE, status=NodeStatus(allocatable={"cpu": "2", "memory": "1Gi", "pods": "9"}))
CRITICAL = 2_000_000_000


def test_a_critical_pod_takes_the_room_of_as_few_as_possible_of_the_least_important() -> None:
    sure = sized("guaranteed", limits=True, cpu="500m", memory="1Mi")
    others = (sized("small", cpu="200m"), sized("large", cpu="1"), sure, sized("other", CRITICAL, cpu="300m"))
    found = admission(sized("urgent", CRITICAL, cpu="900m"), ROOMY, others)
    assert found.refusal is None
    assert [each.metadata.uid for each in found.victims] == ["large"]
    found = admission(sized("urgent", CRITICAL, cpu="1500m"), ROOMY, others)
    assert {each.metadata.uid for each in found.victims} == {"large", "guaranteed"}


def test_what_nobody_can_make_room_for_is_refused_in_the_kubelets_words() -> None:
    found = admission(sized("urgent", CRITICAL, cpu="3"), ROOMY, (sized("a", cpu="1"),))
    assert found.refusal is not None
    assert found.refusal.reason == "UnexpectedAdmissionError"
    assert found.refusal.message.endswith(
        "no set of running pods found to reclaim resources: [(res: cpu, q: 1000), ]"
    )


def test_a_critical_pod_that_has_other_reasons_not_to_run_here_costs_nobody_anything() -> None:
    subject = replace(sized("urgent", CRITICAL, cpu="2"))
    elsewhere = replace(subject, spec=replace(subject.spec, node_selector={"zone": "b"}))
    found = admission(elsewhere, ROOMY, (sized("a", cpu="1"),))
    assert found.refusal is not None
    assert found.refusal.reason == "NodeAffinity"
    assert not found.victims
