"""The node authorizer: a node reads what its pods need, and writes its own Node, lease and pods' statuses.

Rules and words: kubernetes plugin/pkg/auth/authorizer/node. Upstream walks a graph node <- pod <- claim <- volume;
here the pods carry an index from what they refer to, so that a decision is a few look-ups.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from minikube.api.core_v1 import PersistentVolume, Pod
from minikube.api.rbac_v1 import PolicyRule
from minikube.api.resource_v1 import ResourceSlice
from minikube.api.storage_v1 import VolumeAttachment
from minikube.api.well_known import MIRROR_POD, NODE_LEASES
from minikube.auth.base import Action, Decision, User
from minikube.auth.node_names import node_of
from minikube.auth.pod_references import references
from minikube.auth.rbac import rule_allows
from minikube.client.base import Informers

BY_REFERENCE, BY_SECRET = "node-reference", "secret"
OWN = ("create", "delete", "get", "patch", "update")
NO_OPINION, ALLOWED = Decision(False), Decision(True)


class NodeAuthorizer:
    """`rules` are what every node may do alike (the ClusterRole system:node)."""

    def __init__(self, informers: Informers, rules: Sequence[PolicyRule]) -> None:
        pods, volumes = informers.of(Pod), informers.of(PersistentVolume)
        pods.add_index(BY_REFERENCE, _referred)
        volumes.add_index(BY_SECRET, _volume_secrets)
        self._pods, self._volumes = pods.lister, volumes.lister
        self._attachments = informers.of(VolumeAttachment).lister
        self._slices = informers.of(ResourceSlice).lister
        self._rules = rules

    def authorize(self, user: User, action: Action) -> Decision:
        node = node_of(user)
        if node is None:
            return NO_OPINION
        if not node:
            return Decision(False, f'unknown node for user "{user.name}"')
        match action.group, action.resource:
            case "", "secrets" | "configmaps":
                return self._read(node, action)
            case "", "persistentvolumeclaims" if action.subresource == "status":
                return self._update_status(node, action)
            case ("", "persistentvolumeclaims" | "persistentvolumes") | (
                "storage.k8s.io" | "resource.k8s.io",
                "volumeattachments" | "resourceclaims",
            ):
                return self._get(node, action)
            case "", "serviceaccounts":
                return self._service_account(node, action)
            case "", "nodes":
                return _own_node(node, action)
            case "", "pods":
                return self._pod(node, action)
            case "coordination.k8s.io", "leases":
                return _lease(node, action)
            case "storage.k8s.io", "csinodes":
                return _csi_node(node, action)
            case "resource.k8s.io", "resourceslices":
                return self._slice(node, action)
        return ALLOWED if any(rule_allows(rule, action) for rule in self._rules) else NO_OPINION

    def _read(self, node: str, action: Action) -> Decision:
        if action.verb not in ("get", "list", "watch"):
            return Decision(False, "can only read resources of this type")
        if action.subresource:
            return Decision(False, "cannot read subresource")
        if not action.namespace:
            return Decision(False, "can only read namespaced object of this type")
        return self._related(node, action)

    def _get(self, node: str, action: Action) -> Decision:
        if action.verb != "get":
            return Decision(False, "can only get individual resources of this type")
        if action.subresource:
            return Decision(False, "cannot get subresource")
        return self._related(node, action)

    def _update_status(self, node: str, action: Action) -> Decision:
        if action.verb not in ("update", "patch"):
            return Decision(False, "can only get/update/patch this type")
        return self._related(node, action)

    def _service_account(self, node: str, action: Action) -> Decision:
        """Its token, and itself: who asks for a certificate of a pod says the uid of its account."""
        if (action.verb, action.subresource) == ("get", ""):
            return self._related(node, action)
        if action.verb != "create" or not action.name:
            return Decision(False, "can only create tokens for individual service accounts")
        if action.subresource != "token":
            return Decision(False, "can only create token subresource of serviceaccount")
        return self._related(node, action)

    def _pod(self, node: str, action: Action) -> Decision:
        """Writes are NodeRestriction's to judge: it sees the object."""
        match action.subresource, action.verb:
            case ("", "create" | "delete") | ("status", "patch" | "update") | ("eviction", "create"):
                return ALLOWED
            case "", "get":
                return self._related(node, action)
            case "", "list" | "watch":
                if _selects(action, "spec.nodeName", node):
                    return ALLOWED
                return Decision(False, "can only list/watch pods with spec.nodeName field selector")
        return NO_OPINION

    def _slice(self, node: str, action: Action) -> Decision:
        """That a new one is of this node is NodeRestriction's to judge."""
        if action.subresource:
            return Decision(False, "cannot authorize ResourceSlice subresources")
        match action.verb:
            case "create":
                return ALLOWED
            case "get" | "update" | "patch" | "delete":
                return self._related(node, action)
            case "list" | "watch" | "deletecollection":
                if _selects(action, "spec.nodeName", node):
                    return ALLOWED
                why = "can only list/watch/deletecollection resourceslices with nodeName field selector"
                return Decision(False, why)
        why = (
            "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, "
            "delete, deletecollection"
        )
        return Decision(False, why)

    def _related(self, node: str, action: Action) -> Decision:
        if not action.name:
            return Decision(False, "No Object name found")
        if self._reaches(node, action.resource, action.namespace, action.name):
            return ALLOWED
        return Decision(False, f'no relationship found between node "{node}" and this object')

    def _reaches(self, node: str, plural: str, namespace: str, name: str) -> bool:
        """Whether something on the node refers to the object, directly or through a claim."""
        match plural:
            case "pods":
                pod = self._pods.get(name, namespace)
                return pod is not None and pod.spec.node_name == node
            case "persistentvolumes":
                volume = self._volumes.get(name)
                return volume is not None and self._mounts(node, volume)
            case "resourceslices":
                found = self._slices.get(name)
                return found is not None and found.spec.node_name == node
            case "volumeattachments":
                attachment = self._attachments.get(name)
                return attachment is not None and attachment.spec.node_name == node
        if self._pods.by_index(BY_REFERENCE, f"{node}/{plural}/{namespace}/{name}"):
            return True
        if plural != "secrets":
            return False
        return any(self._mounts(node, each) for each in self._volumes.by_index(BY_SECRET, f"{namespace}/{name}"))

    def _mounts(self, node: str, volume: PersistentVolume) -> bool:
        claim = volume.spec.claim_ref
        return claim is not None and self._reaches(node, "persistentvolumeclaims", claim.namespace, claim.name)


def _selects(action: Action, field: str, value: str) -> bool:
    """Whether a list or watch is of objects with this value alone."""
    return f"{field}={value}" in action.fields.replace("==", "=").split(",")


def _own_node(node: str, action: Action) -> Decision:
    match action.subresource, action.verb:
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return ALLOWED
        case "", "get" | "list" | "watch":
            if action.name == node or (not action.name and _selects(action, "metadata.name", node)):
                return ALLOWED
            what = f'"{action.name}"' if action.name else "all nodes"
            return Decision(False, f'node "{node}" cannot read {what}, only its own Node object')
    return NO_OPINION


def _lease(node: str, action: Action) -> Decision:
    if action.verb not in OWN:
        return Decision(False, "can only get, create, update, patch, or delete a node lease")
    if action.namespace != NODE_LEASES:
        return Decision(False, f'can only access leases in the "{NODE_LEASES}" system namespace')
    if action.verb != "create" and action.name != node:
        return Decision(False, "can only access node lease with the same name as the requesting node")
    return ALLOWED


def _csi_node(node: str, action: Action) -> Decision:
    if action.verb not in OWN:
        return Decision(False, "can only get, create, update, patch, or delete a CSINode")
    if action.subresource:
        return Decision(False, "cannot authorize CSINode subresources")
    if action.verb != "create" and action.name != node:
        return Decision(False, "can only access CSINode with the same name as the requesting node")
    return ALLOWED


def _referred(obj: Pod) -> Iterable[str]:
    """<node>/<plural>/<namespace>/<name>"""
    node, namespace = obj.spec.node_name, obj.metadata.namespace
    if not node or MIRROR_POD in obj.metadata.annotations:  # what a node makes must not give it rights
        return ()
    return {f"{node}/{plural}/{namespace}/{name}" for plural, name in references(obj)}


def _volume_secrets(obj: PersistentVolume) -> Iterable[str]:
    """<namespace>/<name> of what a node needs to mount it."""
    csi = obj.spec.csi
    if csi is None:
        return ()
    found = (csi.node_publish_secret_ref, csi.node_stage_secret_ref, csi.node_expand_secret_ref)
    return {f"{each.namespace}/{each.name}" for each in found if each is not None}
