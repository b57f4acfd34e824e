"""The Pod Security Standards, in upstream's words, and what a namespace's labels make of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import pytest

from minikube.admission.pod_security.checks import told, violations
from minikube.admission.pod_security.levels import Standard, policy_of
from minikube.api.core_v1 import Namespace, Pod
from minikube.api.meta import ObjectMeta, from_dict
from minikube.auth.base import User
from minikube.errors import Forbidden, Invalid
from minikube.registry.base import Request
from tests.fakes.cluster import Cluster

GOOD = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(context: Mapping[str, Any] | None = None, *more: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    contexts = (context or {}, *more)
    containers = [{"name": "abc"[n], "image": "x", "securityContext": own} for n, own in enumerate(contexts)]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}


def found(level: str, obj: Mapping[str, Any], minor: int = 37) -> str:
    return told(violations(Standard(level, minor), from_dict(Pod, obj)))


BASELINE = [
    (pod(), ""),
    (pod({"privileged": True}), 'privileged (container "a" must not set securityContext.privileged=true)'),
    (
        pod({"capabilities": {"add": ["NET_RAW", "CHOWN"]}}, {"capabilities": {"add": ["SYS_ADMIN"]}}),
        'non-default capabilities (containers "a", "b" must not include "NET_RAW", "SYS_ADMIN" in '
        "securityContext.capabilities.add)",
    ),
    (pod(hostNetwork=True, hostPID=True), "host namespaces (hostNetwork=true, hostPID=true)"),
    (pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")'),
    (
        {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 1, "hostPort": 80}]}]}},
        'hostPort (container "a" uses hostPort 80)',
    ),
    (
        {"spec": {"containers": [{"name": "a", "livenessProbe": {"httpGet": {"port": 1, "host": "10.0.0.1"}}}]}},
        'probe or lifecycle host (container "a" uses probe or lifecycle host "10.0.0.1")',
    ),
    (
        pod({"procMount": "Unmasked"}),
        'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
    ),
    (
        pod({"seLinuxOptions": {"type": "x", "user": "u"}}, securityContext={"seLinuxOptions": {"role": "r"}}),
        'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: type "x"; '
        "user may not be set; role may not be set)",
    ),
    (
        pod(securityContext={"seccompProfile": {"type": "Unconfined"}}),
        'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ),
    (
        pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        "forbidden sysctls (kernel.msgmax)",
    ),
    (
        pod({"windowsOptions": {"hostProcess": True}}),
        'hostProcess (container "a" must not set securityContext.windowsOptions.hostProcess=true)',
    ),
    (
        pod({"appArmorProfile": {"type": "Unconfined"}}),
        'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")',
    ),
]
RESTRICTED = [
    (pod(GOOD), ""),
    (
        pod(),
        'allowPrivilegeEscalation != false (container "a" must set '
        "securityContext.allowPrivilegeEscalation=false), "
        'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")',
    ),
    (
        pod(GOOD, volumes=[{"name": "v", "hostPath": {"path": "/"}}, {"name": "e", "emptyDir": {}}]),
        'restricted volume types (volume "v" uses restricted volume type "hostPath")',
    ),
    (
        pod({**GOOD, "runAsNonRoot": False}),
        'runAsNonRoot != true (container "a" must not set securityContext.runAsNonRoot=false)',
    ),
    (pod({**GOOD, "runAsUser": 0}), 'runAsUser=0 (container "a" must not set runAsUser=0)'),
    (
        pod({**GOOD, "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}}),
        'unrestricted capabilities (container "a" must not include "CHOWN" in securityContext.capabilities.add)',
    ),
    (
        pod({**GOOD, "privileged": True}),
        'privileged (container "a" must not set securityContext.privileged=true)',
    ),
]


@pytest.mark.parametrize(("obj", "said"), BASELINE)
def test_baseline(obj: dict[str, Any], said: str) -> None:
    assert found("baseline", obj) == said
    assert found("privileged", obj) == ""


@pytest.mark.parametrize(("obj", "said"), RESTRICTED)
def test_restricted(obj: dict[str, Any], said: str) -> None:
    assert found("restricted", obj) == said


def test_older_versions_know_fewer_rules() -> None:
    probe = {"spec": {"containers": [{"name": "a", "livenessProbe": {"tcpSocket": {"port": 1, "host": "x"}}}]}}
    assert found("baseline", probe, 33) == ""
    ports = pod(securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]})
    assert found("baseline", ports, 31)
    assert not found("baseline", ports, 32)


def test_labels_make_a_policy() -> None:
    prefix = "pod-security.kubernetes.io/"
    policy = policy_of({f"{prefix}enforce": "baseline", f"{prefix}enforce-version": "v1.30"})
    assert (str(policy.enforce), str(policy.warn), str(policy.audit)) == (
        "baseline:v1.30", "baseline:v1.30", "privileged:latest",
    )  # fmt: skip
    wrong = policy_of({f"{prefix}enforce": "strict", f"{prefix}warn-version": "1.2"})
    assert str(wrong.enforce) == "restricted:latest"
    assert [str(problem) for problem in wrong.problems] == [
        'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, '
        "baseline, restricted",
        'metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.2": must be "latest" '
        'or "v1.x"',
    ]


def test_pods_are_refused_templates_warned_about_and_tightening_tells_of_what_is_there() -> None:
    async def scene() -> None:
        cluster = await Cluster.open()
        cluster.admit("PodSecurity")
        registry = cluster.registry
        how = Request(user=User("me"))

        async def create(group: str, plural: str, obj: dict[str, Any]) -> None:
            kind = registry.find(group, "v1", plural)
            assert kind is not None
            await registry.create(kind, "default", obj, how)

        await create("", "pods", pod())
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        namespaces = registry.find("", "v1", "namespaces")
        assert namespaces is not None
        present = (await registry.get(namespaces, "", "default")).tree(namespaces)
        await registry.update(
            namespaces, "", "default", {**present, "metadata": {"name": "default", "labels": labels}}, how
        )
        assert how.warnings == [
            'existing pods in namespace "default" violate the new PodSecurity enforce level "restricted:latest"',
            "p: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
        ]
        how.warnings.clear()
        why = 'pods "q" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false'
        with pytest.raises(Forbidden, match=re.escape(why)):
            await create("", "pods", {**pod(), "metadata": {"name": "q"}})
        template = {**pod(), "metadata": {"labels": {"a": "b"}}}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        await create("apps", "deployments", {"metadata": {"name": "d"}, "spec": spec})
        assert how.warnings[0].startswith('would violate PodSecurity "restricted:latest": allowPrivilegeEscalation')
        wrong = Namespace(metadata=ObjectMeta(name="x", labels={"pod-security.kubernetes.io/warn": "none"}))
        with pytest.raises(Invalid, match="must be one of privileged, baseline, restricted"):
            await cluster.client.create(wrong)

    asyncio.run(scene())
