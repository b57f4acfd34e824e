"""The small plugins, each over a registry in memory."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from minikube.admission.plugins import plugins
from minikube.api.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestSpec
from minikube.api.core_v1 import Container, Node, Pod, PodSpec, Service, ServiceAccount, ServicePort, ServiceSpec
from minikube.api.core_v1 import ResourceRequirements as Resources
from minikube.api.meta import ObjectMeta
from minikube.api.networking_v1 import Ingress, IngressBackend, IngressClass, IngressClassSpec, IngressSpec
from minikube.api.networking_v1 import IngressServiceBackend as ToService
from minikube.api.networking_v1 import ServiceBackendPort as Port
from minikube.api.node_v1 import Overhead, RuntimeClass, Scheduling
from minikube.api.scheduling_v1 import PriorityClass
from minikube.auth.rbac import RbacAuthorizer
from minikube.errors import Forbidden
from minikube.settings import Settings, SettingsError
from tests.fakes.cluster import Cluster


def play(scene: Callable[[Cluster], Awaitable[None]], *plugins: str) -> None:
    async def run() -> None:
        cluster = await Cluster.open()
        cluster.admit(*plugins)
        await scene(cluster)

    asyncio.run(run())


def meta(name: str, **more: Any) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="default", **more)


async def pod(cluster: Cluster, name: str = "p", **spec: Any) -> Pod:
    made = PodSpec(containers=(Container(name="c", image="x", resources=spec.pop("resources", None)),), **spec)
    return await cluster.client.create(Pod(metadata=meta(name), spec=made))


def test_a_new_node_is_not_ready_yet() -> None:
    async def scene(cluster: Cluster) -> None:
        node = await cluster.client.create(Node(metadata=ObjectMeta(name="n")))
        assert [(t.key, t.effect) for t in node.spec.taints] == [("node.kubernetes.io/not-ready", "NoSchedule")]

    play(scene, "TaintNodesByCondition")


def test_a_runtime_class_gives_overhead_and_a_place_to_run() -> None:
    async def scene(cluster: Cluster) -> None:
        of = RuntimeClass(
            metadata=ObjectMeta(name="vm"),
            handler="kata",
            overhead=Overhead(pod_fixed={"cpu": "250m"}),
            scheduling=Scheduling(node_selector={"vm": "yes"}),
        )
        await cluster.client.create(of)
        made = await pod(cluster, runtime_class_name="vm")
        assert made.spec.overhead == {"cpu": "250m"}
        assert made.spec.node_selector == {"vm": "yes"}
        for spec, why in (
            ({"runtime_class_name": "nix"}, 'pods "q" is forbidden: pod rejected: RuntimeClass "nix" not found'),
            ({"runtime_class_name": "vm", "node_selector": {"vm": "no"}}, "conflict: runtimeClass.scheduling"),
            ({"runtime_class_name": "vm", "overhead": {"cpu": "1"}}, "Overhead doesn't match RuntimeClass"),
            ({"overhead": {"cpu": "1"}}, "Pod Overhead set without corresponding RuntimeClass"),
        ):
            with pytest.raises(Forbidden) as caught:
                await pod(cluster, "q", **spec)
            assert why in caught.value.message

    play(scene, "RuntimeClass")


def test_an_ingress_gets_the_newest_default_class() -> None:
    async def scene(cluster: Cluster) -> None:
        notes = {"ingressclass.kubernetes.io/is-default-class": "true"}
        for name in ("b", "a"):
            of = IngressClass(
                metadata=ObjectMeta(name=name, annotations=notes), spec=IngressClassSpec(controller="example.com/x")
            )
            await cluster.client.create(of)
            cluster.clock.at += timedelta(seconds=1)
        backend = IngressBackend(service=ToService(name="s", port=Port(number=80)))
        made = await cluster.client.create(Ingress(metadata=meta("i"), spec=IngressSpec(default_backend=backend)))
        assert made.spec.ingress_class_name in ("a", "b")
        named = IngressSpec(default_backend=backend, ingress_class_name="own")
        own = await cluster.client.create(Ingress(metadata=meta("j"), spec=named))
        assert own.spec.ingress_class_name == "own"

    play(scene, "DefaultIngressClass")


def signing_request(organization: str) -> CertificateSigningRequest:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, "bob"),
        ]
    )
    pem = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    spec = CertificateSigningRequestSpec(
        request=base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode(),
        signer_name="kubernetes.io/kube-apiserver-client",
        usages=("client auth",),
    )
    return CertificateSigningRequest(metadata=ObjectMeta(name="r"), spec=spec)


def test_nobody_asks_for_or_approves_more_than_he_may() -> None:
    async def scene(cluster: Cluster) -> None:
        with pytest.raises(Forbidden, match="signer with system:masters group is not allowed"):
            await cluster.client.create(signing_request("system:masters"))
        await cluster.client.create(signing_request("team"))
        approved = {"type": "Approved", "status": "True", "reason": "R", "message": ""}
        why = 'user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"'
        with pytest.raises(Forbidden, match=why):
            await cluster.client.patch(
                CertificateSigningRequest, "r", patch={"status": {"conditions": [approved]}}, subresource="approval"
            )
        with pytest.raises(Forbidden, match="user not permitted to sign requests with signerName"):
            await cluster.client.patch(
                CertificateSigningRequest, "r", patch={"status": {"certificate": "eA=="}}, subresource="status"
            )

    play(scene, "CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction")


def test_a_pod_carries_the_zone_of_its_node() -> None:
    async def scene(cluster: Cluster) -> None:
        labels = {"topology.kubernetes.io/zone": "z", "other": "x"}
        await cluster.client.create(Node(metadata=ObjectMeta(name="n", labels=labels)))
        made = await pod(cluster, node_name="n")
        assert made.metadata.labels == {"topology.kubernetes.io/zone": "z"}

    play(scene, "PodTopologyLabels")


def test_plugins_that_are_off_by_default_do_their_work_when_on() -> None:
    async def scene(cluster: Cluster) -> None:
        gpu = Resources(requests={"example.com/gpu": "1"}, limits={"example.com/gpu": "1"})
        made = await pod(cluster, resources=gpu)
        assert [(t.key, t.operator) for t in made.spec.tolerations] == [("example.com/gpu", "Exists")]
        spec = ServiceSpec(ports=(ServicePort(port=80),), external_ips=("192.0.2.7",))
        with pytest.raises(Forbidden, match=r"Use of external IPs is denied by admission control\."):
            await cluster.client.create(Service(metadata=meta("s"), spec=spec))

    play(scene, "ExtendedResourceToleration", "DenyServiceExternalIPs")


def test_priority_classes_have_one_default_and_pods_no_policy_of_their_own() -> None:
    async def scene(cluster: Cluster) -> None:
        await cluster.client.create(PriorityClass(metadata=ObjectMeta(name="a"), value=5, global_default=True))
        with pytest.raises(Forbidden, match="PriorityClass a is already marked as default"):
            await cluster.client.create(PriorityClass(metadata=ObjectMeta(name="b"), value=6, global_default=True))
        assert (await pod(cluster)).spec.priority == 5
        with pytest.raises(Forbidden, match=r"the string value of PreemptionPolicy \(Never\) must not be provided"):
            await pod(cluster, "q", preemption_policy="Never")

    play(scene, "Priority")


def test_an_account_can_limit_its_pods_to_its_secrets() -> None:
    async def scene(cluster: Cluster) -> None:
        account = ServiceAccount(
            metadata=meta("a", annotations={"kubernetes.io/enforce-mountable-secrets": "true"})
        )
        await cluster.client.create(account)
        with pytest.raises(
            Forbidden, match=r'imagePullSecrets\[\]\.name="s" is not allowed because service account a'
        ):
            await pod(cluster, service_account_name="a", image_pull_secrets=({"name": "s"},))

    play(scene, "ServiceAccount")


def test_settings_choose_the_plugins() -> None:
    async def scene(cluster: Cluster) -> None:
        def names(**settings: Any) -> list[str]:
            rbac = RbacAuthorizer(cluster.informers)
            chosen = plugins(cluster.informers, rbac, cluster.client, cluster.clock, Settings(**settings))
            return [one.name for one in chosen]

        assert "DenyServiceExternalIPs" not in names()
        assert "DenyServiceExternalIPs" in names(enable_admission_plugins=("DenyServiceExternalIPs",))
        assert "PodSecurity" not in names(disable_admission_plugins=("PodSecurity",))
        with pytest.raises(SettingsError, match="no admission plugin is named Nix"):
            names(enable_admission_plugins=("Nix",))

    play(scene)
