"""What a node may do: a table over one cluster with a pod on each of two nodes."""

from __future__ import annotations

import asyncio

import pytest

from minikube.api.core_v1 import (
    Container,
    EnvFromSource,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaimVolumeSource,
    PersistentVolumeSpec,
    Pod,
    PodSpec,
    SecretEnvSource,
    Volume,
)
from minikube.api.core_v1 import CSIPersistentVolumeSource as Csi
from minikube.api.core_v1 import SecretReference as Reference
from minikube.api.meta import ObjectMeta, replace_meta
from minikube.api.resource_v1 import ResourcePool, ResourceSlice, ResourceSliceSpec
from minikube.api.well_known import MIRROR_POD
from minikube.auth.base import Action, Decision, User
from minikube.auth.bootstrap_roles import NODE
from minikube.auth.node_authorizer import NodeAuthorizer
from tests.fakes.cluster import Cluster

MINE = User("system:node:mine", groups=("system:nodes",))
READS = 'no relationship found between node "mine" and this object'


def pod(name: str, node: str) -> Pod:
    """Refers to a secret, a claim and a service account of its own name."""
    source = EnvFromSource(secret_ref=SecretEnvSource(name=name))
    claim = PersistentVolumeClaimVolumeSource(claim_name=name)
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=PodSpec(
            node_name=node,
            service_account_name=name,
            containers=(Container(name="c", image="i", env_from=(source,)),),
            volumes=(Volume(name="v", persistent_volume_claim=claim),),
        ),
    )


def volume(name: str) -> PersistentVolume:
    """Bound to the claim of its name; mounting needs the secret vault/<name>."""
    secret = Reference(namespace="vault", name=name)
    return PersistentVolume(
        metadata=ObjectMeta(name=name),
        spec=PersistentVolumeSpec(
            access_modes=("ReadWriteOnce",),
            capacity={"storage": "1Gi"},
            claim_ref=ObjectReference(namespace="default", name=name),
            csi=Csi(driver="d", volume_handle="h", node_publish_secret_ref=secret),
        ),
    )


def devices(node: str) -> ResourceSlice:
    pool = ResourcePool(name=node, resource_slice_count=1)
    spec = ResourceSliceSpec(node_name=node, driver="d.example.org", pool=pool)
    return ResourceSlice(metadata=ObjectMeta(name=node), spec=spec)


def decide(action: Action, user: User = MINE) -> Decision:
    async def scene() -> Decision:
        cluster = await Cluster.open()
        authorizer = NodeAuthorizer(cluster.informers, NODE)
        for name in ("mine", "other"):
            await cluster.client.create(pod(name, name))
            await cluster.client.create(volume(name))
            await cluster.client.create(devices(name))
        mirror = replace_meta(pod("mirror", "mine"), annotations={MIRROR_POD: "x"})
        await cluster.client.create(mirror)
        try:
            return authorizer.authorize(user, action)
        finally:
            assert cluster.running is not None
            cluster.running.cancel()

    return asyncio.run(scene())


def get(resource: str, name: str, namespace: str = "default", verb: str = "get", **more: str) -> Action:
    return Action(verb, resource=resource, namespace=namespace, name=name, **more)


@pytest.mark.parametrize(
    "action",
    [
        get("secrets", "mine"),
        get("secrets", "mine", verb="watch"),
        get("persistentvolumeclaims", "mine"),
        get("persistentvolumes", "mine", ""),
        get("secrets", "mine", "vault"),
        get("pods", "mine"),
        get("nodes", "mine", ""),
        get("serviceaccounts", "mine", verb="create", subresource="token"),
        get("serviceaccounts", "mine"),
        get("podcertificaterequests", "", verb="create", group="certificates.k8s.io"),
        get("persistentvolumeclaims", "mine", verb="patch", subresource="status"),
        get("leases", "mine", "kube-node-lease", "update", group="coordination.k8s.io"),
        get("pods", "", "", "watch", fields="spec.nodeName=mine"),
        get("services", "", "", "list"),
        get("nodes", "", "", "list", fields="metadata.name=mine"),
        get("resourceslices", "mine", "", "update", group="resource.k8s.io"),
        get("resourceslices", "", "", "create", group="resource.k8s.io"),
        get("resourceslices", "", "", "deletecollection", group="resource.k8s.io", fields="spec.nodeName=mine"),
    ],
    ids=str,
)
def test_a_node_may_do_what_its_pods_need(action: Action) -> None:
    assert decide(action) == Decision(True)


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (get("secrets", "other"), READS),
        (get("secrets", "other", "vault"), READS),
        (get("secrets", "mirror"), READS),
        (get("resourceslices", "other", "", "update", group="resource.k8s.io"), READS),
        (
            get("resourceslices", "", "", "watch", group="resource.k8s.io"),
            "can only list/watch/deletecollection resourceslices with nodeName field selector",
        ),
        (get("secrets", "mine", verb="delete"), "can only read resources of this type"),
        (get("secrets", "mine", ""), "can only read namespaced object of this type"),
        (get("configmaps", "mine"), READS),
        (get("persistentvolumes", "other", ""), READS),
        (get("persistentvolumes", "", "", "list"), "can only get individual resources of this type"),
        (get("pods", "other"), READS),
        (get("pods", "", "", "list"), "can only list/watch pods with spec.nodeName field selector"),
        (
            get("pods", "", "", "list", fields="spec.nodeName=other"),
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (get("nodes", "other", ""), 'node "mine" cannot read "other", only its own Node object'),
        (get("serviceaccounts", "other", verb="create", subresource="token"), READS),
        (get("serviceaccounts", "other"), READS),
        (
            get("leases", "other", "kube-node-lease", group="coordination.k8s.io"),
            "can only access node lease with the same name as the requesting node",
        ),
        (
            get("leases", "mine", "default", group="coordination.k8s.io"),
            'can only access leases in the "kube-node-lease" system namespace',
        ),
    ],
    ids=str,
)
def test_everything_of_others_is_refused_with_upstreams_reason(action: Action, why: str) -> None:
    assert decide(action) == Decision(False, why)


def test_the_group_alone_makes_no_node() -> None:
    assert decide(get("secrets", "mine"), User("mallory", groups=("system:nodes",))) == Decision(False)
