"""NodeRestriction: a node writes only its own Node, lease and CSINode, and the pods that run on it.

Rules and words: kubernetes plugin/pkg/admission/noderestriction.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.admission.token_audiences import TokenAudiences
from minikube.api import local_path
from minikube.api.core_v1 import Node, PersistentVolume, Pod
from minikube.api.labels import may_label_itself
from minikube.api.meta import from_dict
from minikube.api.well_known import MIRROR_POD, NODE_LEASES
from minikube.auth.node_names import node_of
from minikube.auth.pod_references import projected_sources, references
from minikube.client.base import Lister
from minikube.errors import Forbidden, NotFound
from minikube.pki.node import PREFIX
from minikube.pki.requests import read_request

NODE_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
_CLAIM_STATUS = ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses")


class NodeRestriction:
    name: ClassVar[str] = "NodeRestriction"

    def __init__(self, pods: Lister[Pod], nodes: Lister[Node], audiences: TokenAudiences) -> None:
        self._pods, self._nodes, self._audiences = pods, nodes, audiences
        self._checks: Mapping[tuple[str, str], Callable[[str, Attributes], str]] = {
            ("", "pods"): self._pod,
            ("", "nodes"): _node,
            ("", "persistentvolumeclaims"): _claim,
            ("", "persistentvolumes"): _volume,
            ("", "serviceaccounts"): self._token,
            ("coordination.k8s.io", "leases"): _lease,
            ("storage.k8s.io", "csinodes"): _csi_node,
            ("resource.k8s.io", "resourceslices"): _slice,
            ("certificates.k8s.io", "certificatesigningrequests"): _signing_request,
            ("certificates.k8s.io", "podcertificaterequests"): self._pod_certificate,
        }

    async def admit(self, request: Attributes) -> None:
        """Raises Forbidden or NotFound."""
        node = node_of(request.user)
        if node is None:
            return
        resource = request.resource
        check = self._checks.get((resource.group, resource.plural))
        if not node:
            why = f'could not determine node from user "{request.user.name}"'
        else:
            why = check(node, request) if check is not None else ""
        if why:
            raise Forbidden.of(resource.plural, resource.group, request.name, why)

    # Each check answers why not; empty: it may.

    def _pod(self, node: str, request: Attributes) -> str:
        match request.subresource, request.operation:
            case "", "CREATE":
                return self._new_pod(node, request.object or {})
            case "", "DELETE":
                if self._found(request.name, request.namespace).spec.node_name != node:
                    return f'node "{node}" can only delete pods with spec.nodeName set to itself'
                return ""
            case "", operation:
                return f'unexpected operation "{operation}", node "{node}" can only create and delete mirror pods'
            case "status", "UPDATE":
                return _pod_status(node, request.object or {}, request.old or {})
            case "eviction", "CREATE":
                if self._found(request.name, request.namespace).spec.node_name != node:
                    return f"node {node} can only evict pods with spec.nodeName set to itself"
                return ""
            case "status" | "eviction", operation:
                return f'unexpected operation "{operation}"'
        return f"unexpected pod subresource \"{request.subresource}\", only 'status' and 'eviction' are allowed"

    def _new_pod(self, node: str, obj: Mapping[str, Any]) -> str:
        pod = from_dict(Pod, obj)
        if MIRROR_POD not in pod.metadata.annotations:
            return f'pod does not have "{MIRROR_POD}" annotation, node "{node}" can only create mirror pods'
        if pod.spec.node_name != node:
            return f'node "{node}" can only create pods with spec.nodeName set to itself'
        owners = pod.metadata.owner_references
        if len(owners) > 1:
            return f'node "{node}" can only create pods with a single owner reference set to itself'
        if not owners or (owners[0].api_version, owners[0].kind, owners[0].name) != ("v1", "Node", node):
            return f'node "{node}" can only create pods with an owner reference set to itself'
        owner = owners[0]
        if not owner.controller:
            return f'node "{node}" can only create pods with a controller owner reference set to itself'
        if owner.block_owner_deletion:
            return f'node "{node}" must not set blockOwnerDeletion on an owner reference'
        itself = self._nodes.get(node)
        if itself is None:
            raise NotFound.of("nodes", "", node)
        if owner.uid != itself.metadata.uid:
            return f"node {node} UID mismatch: expected {owner.uid} got {itself.metadata.uid}"
        for plural, what in (
            ("serviceaccounts", "a service account"), ("secrets", "secrets"), ("configmaps", "configmaps"),
            ("persistentvolumeclaims", "persistentvolumeclaims"),
        ):  # fmt: skip
            if any(each == plural for each, _ in references(pod)):
                return f'node "{node}" can not create pods that reference {what}'
        if pod.spec.resource_claims:
            return f'node "{node}" can not create pods that reference resourceclaims'
        if any(each.cluster_trust_bundle is not None for each in projected_sources(pod)):
            return f'node "{node}" can not create pods that reference clustertrustbundles'
        return ""

    def _token(self, node: str, request: Attributes) -> str:
        if request.operation != "CREATE" or request.subresource != "token":
            return ""
        about = ((request.object or {}).get("spec") or {}).get("boundObjectRef") or {}
        if about.get("apiVersion") != "v1" or about.get("kind") != "Pod" or not about.get("name"):
            return "node requested token not bound to a pod"
        if not about.get("uid"):
            return "node requested token with a pod binding without a uid"
        pod = self._found(about["name"], request.namespace)
        if about["uid"] != pod.metadata.uid:
            return (
                f"the UID in the bound object reference ({about['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
        if pod.spec.node_name != node:
            return "node requested token bound to a pod scheduled on a different node"
        wanted = ((request.object or {}).get("spec") or {}).get("audiences") or ()
        return self._audiences.problem(request.user, request.name, pod, wanted)

    def _pod_certificate(self, node: str, request: Attributes) -> str:
        if request.operation != "CREATE" or request.subresource:
            return ""
        spec = (request.object or {}).get("spec") or {}
        if spec.get("nodeName") != node:
            said = spec.get("nodeName", "")
            return f'PodCertificateRequest.Spec.NodeName="{said}", which is not the requesting node "{node}"'
        pod = self._found(spec.get("podName", ""), request.namespace)
        if (pod.metadata.annotations or {}).get(MIRROR_POD):
            return "node may not request certificates for static pods"
        if spec.get("podUID") != pod.metadata.uid:
            return f"PodCertificateRequest.Spec.PodUID does not match the pod with name {pod.metadata.name}"
        if pod.spec.node_name != node:
            return f'pod "{pod.metadata.name}" is not bound to the requesting node "{node}"'
        if spec.get("serviceAccountName") != pod.spec.service_account_name:
            return f"PodCertificateRequest.Spec.ServiceAccountName is not that of the pod {pod.metadata.name}"
        return ""

    def _found(self, name: str, namespace: str) -> Pod:
        pod = self._pods.get(name, namespace)
        if pod is None:
            raise NotFound.of("pods", "", name)
        return pod


def _pod_status(node: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    if (old.get("spec") or {}).get("nodeName") != node:
        return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    if (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}):
        return f'node "{node}" cannot update labels through pod status'
    claims = [(obj.get("status") or {}).get("resourceClaimStatuses") or [] for obj in (new, old)]
    return f'node "{node}" cannot update resource claim statues' if claims[0] != claims[1] else ""


def _node(node: str, request: Attributes) -> str:
    if request.name != node:
        return f'node "{node}" is not allowed to modify node "{request.name}"'
    new, old = request.object or {}, request.old or {}
    ranges = [(obj.get("spec") or {}).get("podCIDR") or "" for obj in (new, old)]
    if ranges[0] != ranges[1]:
        return f'node "{node}" is not allowed to choose its podCIDR'  # by which all others send their pods' traffic
    if request.operation == "CREATE" and (forbidden := _forbidden_labels(_labels(new), {})):
        return f'node "{node}" is not allowed to set the following labels: {", ".join(forbidden)}'
    if request.operation == "UPDATE":
        if ((new.get("spec") or {}).get("taints") or []) != ((old.get("spec") or {}).get("taints") or []):
            return f'node "{node}" is not allowed to modify taints'
        if _owners(new) != _owners(old):  # with one it could have itself deleted, and come back with other labels
            return f'node "{node}" is not allowed to modify ownerReferences'
        if forbidden := _forbidden_labels(_labels(new), _labels(old)):
            return f"is not allowed to modify labels: {', '.join(forbidden)}"
    return ""


def _owners(obj: Mapping[str, Any]) -> Any:
    return (obj.get("metadata") or {}).get("ownerReferences") or []


def _labels(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return (obj.get("metadata") or {}).get("labels") or {}


def _forbidden_labels(new: Mapping[str, str], old: Mapping[str, str]) -> list[str]:
    changed = {key for key in (*new, *old) if new.get(key) != old.get(key)}
    return sorted(key for key in changed if not may_label_itself(key))


def _claim(node: str, request: Attributes) -> str:
    if request.subresource != "status":
        return "may only update PVC status"
    if request.operation != "UPDATE":
        return f'unexpected operation "{request.operation}"'
    if _without(request.object or {}, "status", _CLAIM_STATUS) != _without(
        request.old or {}, "status", _CLAIM_STATUS
    ):
        return f'node "{node}" is not allowed to update fields other than status.quantity and status.conditions'
    return ""


def _volume(node: str, request: Attributes) -> str:
    """Our own rule: agents take the finalizer off their local-path volumes and touch nothing else."""
    if request.operation != "UPDATE" or request.subresource:
        return f'unexpected operation "{request.operation}"'
    old = from_dict(PersistentVolume, request.old or {})
    if not local_path.is_local_path(old) or local_path.node_of(old) != node:
        return f'node "{node}" can only update local-path volumes of its own'
    if _without(request.object or {}, "metadata", ("finalizers",)) != _without(
        request.old or {}, "metadata", ("finalizers",)
    ):
        return f'node "{node}" is not allowed to update fields other than metadata.finalizers'
    return ""


def _without(obj: Mapping[str, Any], part: str, fields: Iterable[str]) -> dict[str, Any]:
    """A copy without these fields of a part, and without what every write changes."""
    metadata = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    out = {**obj, "metadata": metadata}
    out[part] = {key: value for key, value in (out.get(part) or {}).items() if key not in fields}
    return out


def _lease(node: str, request: Attributes) -> str:
    if request.namespace != NODE_LEASES:
        return f'can only access leases in the "{NODE_LEASES}" system namespace'
    if request.name != node:
        return "can only access node lease with the same name as the requesting node"
    return ""


def _csi_node(node: str, request: Attributes) -> str:
    return "" if request.name == node else "can only access CSINode with the same name as the requesting node"


def _slice(node: str, request: Attributes) -> str:
    """Whose an existing one is does not change, and the node authorizer has looked at it."""
    verb, obj = {"CREATE": ("create", request.object), "DELETE": ("delete", request.old)}.get(
        request.operation, ("", None)
    )
    if verb and ((obj or {}).get("spec") or {}).get("nodeName") != node:
        return f"can only {verb} ResourceSlice with the same NodeName as the requesting node"
    return ""


def _signing_request(node: str, request: Attributes) -> str:
    spec = (request.object or {}).get("spec") or {}
    if request.operation != "CREATE" or spec.get("signerName") not in NODE_SIGNERS:
        return ""
    try:
        asked = read_request(base64.b64decode(spec.get("request") or ""))
    except ValueError as error:
        return f"unable to parse csr: {error}"
    if asked.common_name != PREFIX + node:
        return f"can only create a node CSR with CN={PREFIX}{node}"
    return ""
