"""What NodeRestriction lets a node write."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from minikube.admission.base import Attributes
from minikube.admission.node_restriction import NodeRestriction
from minikube.admission.token_audiences import TokenAudiences
from minikube.api.certificates_v1 import CertificateSigningRequest, PodCertificateRequest
from minikube.api.coordination_v1 import Lease
from minikube.api.core_v1 import (
    Container,
    CSIVolumeSource,
    Node,
    PersistentVolume,
    Pod,
    PodSpec,
    ProjectedVolumeSource,
    ServiceAccount,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)
from minikube.api.meta import Object, ObjectMeta
from minikube.api.storage_v1 import CSIDriver, CSIDriverSpec
from minikube.api.storage_v1 import TokenRequest as DriverToken
from minikube.auth.base import User
from minikube.auth.rbac import RbacAuthorizer
from minikube.errors import Forbidden
from minikube.pki.requests import make_request
from tests.fakes.cluster import Cluster

TOKENS = (ServiceAccountTokenProjection(path="token"), ServiceAccountTokenProjection(path="v", audience="vault"))
MINE = User("system:node:mine", groups=("system:nodes",))


def asked(
    kind: type[Object], operation: str, name: str, new: Mapping[str, Any] | None = None, **more: Any
) -> Attributes:
    return Attributes(
        operation=operation,
        resource=kind.resource,
        subresource=more.pop("subresource", ""),
        namespace=more.pop("namespace", "default"),
        name=name,
        object=dict(new) if new is not None else None,
        old=more.pop("old", None),
        user=more.pop("user", MINE),
    )


def admit(request: Attributes) -> str:
    """Why not; empty: it is admitted."""

    async def scene() -> str:
        cluster = await Cluster.open()
        for name in ("mine", "other"):
            sources = tuple(VolumeProjection(service_account_token=each) for each in TOKENS)
            volumes = (
                Volume(name="v", projected=ProjectedVolumeSource(sources=sources)),
                Volume(name="c", csi=CSIVolumeSource(driver="vault.example.org")),
            )
            spec = PodSpec(node_name=name, containers=(Container(name="c", image="i"),), volumes=volumes)
            meta = ObjectMeta(name=name, namespace="default", uid=name)
            await cluster.client.create(Pod(metadata=meta, spec=spec))
        asks = CSIDriverSpec(token_requests=(DriverToken(audience="csi"),))
        await cluster.client.create(CSIDriver(metadata=ObjectMeta(name="vault.example.org"), spec=asks))
        uid = (await cluster.client.get(Pod, "mine", "default")).metadata.uid
        if request.resource is ServiceAccount.resource and request.object:
            about = request.object["spec"].get("boundObjectRef")
            about.update(uid=about["uid"] and uid) if about else None
        audiences = TokenAudiences(cluster.informers, RbacAuthorizer(cluster.informers))
        plugin = NodeRestriction(cluster.informers.of(Pod).lister, cluster.informers.of(Node).lister, audiences)
        try:
            await plugin.admit(request)
        except Forbidden as error:
            return error.message.partition(" is forbidden: ")[2]
        finally:
            assert cluster.running is not None
            cluster.running.cancel()
        return ""

    return asyncio.run(scene())


def node(name: str, labels: Mapping[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": dict(labels)}, "spec": spec}


def signing(common_name: str) -> dict[str, Any]:
    pem = make_request(ec.generate_private_key(ec.SECP256R1()), common_name=common_name, groups=["system:nodes"])
    signer = "kubernetes.io/kube-apiserver-client-kubelet"
    return {"metadata": {}, "spec": {"request": base64.b64encode(pem).decode(), "signerName": signer}}


def token(pod: str, *audiences: str, uid: str = "its") -> Attributes:
    """Asked for, bound to a pod; `its` uid is filled in."""
    bound = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}
    spec = {"boundObjectRef": bound, "audiences": list(audiences)}
    return asked(ServiceAccount, "CREATE", "default", {"spec": spec}, subresource="token")


PLAIN = node("mine", {"kubernetes.io/os": "linux"})
TAINTED = node("mine", {}, taints=[{"key": "a", "effect": "NoSchedule"}])
RANGED = node("mine", {}, podCIDR="10.42.7.0/24")
OWNED = {**PLAIN, "metadata": {**PLAIN["metadata"], "ownerReferences": [{"kind": "Pod", "name": "gone"}]}}


@pytest.mark.parametrize(
    "request_",
    [
        asked(Node, "CREATE", "mine", PLAIN),
        asked(Node, "CREATE", "mine", TAINTED),
        asked(Node, "UPDATE", "mine", node("mine", {"zone": "a"}), old=PLAIN | {"metadata": {"name": "mine"}}),
        asked(Pod, "DELETE", "mine"),
        asked(Lease, "CREATE", "mine", {}, namespace="kube-node-lease"),
        asked(CertificateSigningRequest, "CREATE", "", signing("system:node:mine")),
        asked(Node, "DELETE", "other", user=User("admin")),
        token("mine"),
        token("mine", "vault"),
        token("mine", "csi"),
    ],
    ids=lambda each: f"{each.operation} {each.resource.plural} {each.name}",
)
def test_a_node_writes_what_is_its_own(request_: Attributes) -> None:
    assert admit(request_) == ""


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (asked(Node, "CREATE", "other", node("other", {})), 'node "mine" is not allowed to modify node "other"'),
        (
            asked(Node, "CREATE", "mine", node("mine", {"node-role.kubernetes.io/x": "", "x.k8s.io/y": ""})),
            'node "mine" is not allowed to set the following labels: node-role.kubernetes.io/x, x.k8s.io/y',
        ),
        (
            asked(Node, "UPDATE", "mine", node("mine", {"node-restriction.kubernetes.io/a": ""}), old=PLAIN),
            "is not allowed to modify labels: node-restriction.kubernetes.io/a",
        ),
        (asked(Node, "UPDATE", "mine", PLAIN, old=TAINTED), 'node "mine" is not allowed to modify taints'),
        (asked(Node, "UPDATE", "mine", OWNED, old=PLAIN), 'node "mine" is not allowed to modify ownerReferences'),
        (asked(Node, "CREATE", "mine", RANGED), 'node "mine" is not allowed to choose its podCIDR'),
        (asked(Node, "UPDATE", "mine", RANGED, old=PLAIN), 'node "mine" is not allowed to choose its podCIDR'),
        (asked(Pod, "DELETE", "other"), 'node "mine" can only delete pods with spec.nodeName set to itself'),
        (
            asked(Pod, "CREATE", "p", {"metadata": {}, "spec": {"containers": []}}),
            'pod does not have "kubernetes.io/config.mirror" annotation, node "mine" can only create mirror pods',
        ),
        (
            asked(
                Pod, "UPDATE", "other", {"metadata": {}}, subresource="status",
                old={"metadata": {}, "spec": {"nodeName": "other"}},
            ),
            'node "mine" can only update pod status for pods with spec.nodeName set to itself',
        ),
        (
            asked(Lease, "UPDATE", "other", {}, namespace="kube-node-lease"),
            "can only access node lease with the same name as the requesting node",
        ),
        (
            asked(ServiceAccount, "CREATE", "default", {"spec": {}}, subresource="token"),
            "node requested token not bound to a pod",
        ),
        (token("mine", uid=""), "node requested token with a pod binding without a uid"),
        (
            token("mine", "vault", "other"),
            "node may only request 0 or 1 audiences",
        ),
        (
            token("mine", "other"),
            'audience "other" not found in pod spec volume, system:node:mine is not authorized to request tokens '
            "for this audience",
        ),
        (
            asked(CertificateSigningRequest, "CREATE", "", signing("system:node:other")),
            "can only create a node CSR with CN=system:node:mine",
        ),
        (
            asked(PodCertificateRequest, "CREATE", "", {"spec": {"nodeName": "other", "podName": "other"}}),
            'PodCertificateRequest.Spec.NodeName="other", which is not the requesting node "mine"',
        ),
        (
            asked(PodCertificateRequest, "CREATE", "", {"spec": {"nodeName": "mine", "podName": "other"}}),
            "PodCertificateRequest.Spec.PodUID does not match the pod with name other",
        ),
        (
            asked(PersistentVolume, "UPDATE", "v", {"metadata": {}}, old={"metadata": {}}),
            'node "mine" can only update local-path volumes of its own',
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else each.resource.plural,
)  # fmt: skip
def test_the_rest_is_refused_in_upstreams_words(request_: Attributes, why: str) -> None:
    assert admit(request_) == why
