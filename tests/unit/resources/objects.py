"""Valid objects to break: the least that passes, and how a change is applied to it."""

from __future__ import annotations

import copy
import re
from typing import Any

from minikube.api.meta import from_dict
from minikube.resources.all import ALL
from minikube.resources.base import Kind
from minikube.schema.clean import clean
from minikube.schema.defaults import apply_defaults
from minikube.schema.structure import builtin

GONE = object()
"""As the value of a change: take the field away."""

POD_SPEC = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": POD_SPEC}
WORKLOAD = {"selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE}
JOB = {"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}

WEBHOOK = {
    "name": "a.example.com",
    "clientConfig": {"url": "https://a.example.com/"},
    "admissionReviewVersions": ["v1"],
    "sideEffects": "None",
}
DEVICE = {"name": "r", "exactly": {"deviceClassName": "c"}}
FLOW = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}
PODS = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}

REQUEST = (
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIR01HNENBUUF3RERFS01BZ0dBMVVFQXd3QllUQlpNQk1HQnlx"
    "R1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQTBJQQpCUHhEc25Oc0JWSmpUTEYrbzdzbE5DN1hhOFROeHk4eEFsSHhWRjVnbUV3cmxPVGYz"
    "UHo3R2pMMHA3eE8vTnVCCkVRTC9yQ1Rhc3V3RHZNOHNZOGo0dTBTZ0FEQUtCZ2dxaGtqT1BRUURBZ05JQURCRkFpQTVFWko0TWph"
    "S29LMmUKU1dEREhyQVdja2RpSU9oV1hrS3VucXhDdlZhOHVnSWhBTVJMcStNRUlnSFFzOFdBd1R5bmdOUUVJRUNURThqRgpjQkdC"
    "Z3hBa21vYVYKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg=="
)
VALID: dict[str, dict[str, Any]] = {
    "Pod": {"spec": POD_SPEC},
    "PodTemplate": {"template": TEMPLATE},
    "Service": {"spec": {"ports": [{"port": 80}], "selector": {"app": "a"}}},
    "ConfigMap": {"data": {"a": "b"}},
    "Secret": {"data": {"a": "Yg=="}},
    "Namespace": {},
    "Node": {},
    "Deployment": {"spec": WORKLOAD},
    "ReplicaSet": {"spec": WORKLOAD},
    "DaemonSet": {"spec": WORKLOAD},
    "StatefulSet": {"spec": {**WORKLOAD, "serviceName": "s"}},
    "ReplicationController": {"spec": {"selector": {"app": "a"}, "template": TEMPLATE}},
    "Job": {"spec": JOB},
    "CronJob": {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}},
    "PersistentVolumeClaim": {"spec": CLAIM},
    "PersistentVolume": {
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/d"}}
    },
    "Endpoints": {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
    "EndpointSlice": {
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"name": "", "port": 80}],
    },
    "Event": {"involvedObject": {"kind": "Pod", "namespace": "default"}, "reason": "r", "type": "Normal"},
    "ServiceAccount": {},
    "Lease": {"spec": {"holderIdentity": "h", "leaseDurationSeconds": 10}},
    "Role": {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]},
    "ClusterRole": {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]},
    "RoleBinding": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "u"}],
    },
    "ClusterRoleBinding": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "User", "name": "u"}],
    },
    "Ingress": {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}},
    "IngressClass": {"spec": {"controller": "example.com/c"}},
    "NetworkPolicy": {"spec": {"podSelector": {}}},
    "PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}},
    "HorizontalPodAutoscaler": {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}
    },
    "PriorityClass": {"value": 10},
    "StorageClass": {"provisioner": "example.com/p"},
    "CSIDriver": {"spec": {}},
    "CSINode": {"spec": {"drivers": [{"name": "d.example.com", "nodeID": "n"}]}},
    "CSIStorageCapacity": {"storageClassName": "c", "capacity": "1Gi", "nodeTopology": {"matchLabels": {"a": "b"}}},
    "VolumeAttachment": {"spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}},
    "ResourceQuota": {"spec": {"hard": {"pods": "1"}}},
    "ValidatingWebhookConfiguration": {"webhooks": [WEBHOOK]},
    "MutatingWebhookConfiguration": {"webhooks": [WEBHOOK]},
    "FlowSchema": {
        "spec": {
            "priorityLevelConfiguration": {"name": "workload-low"},
            "rules": [{"subjects": [{"kind": "User", "user": {"name": "u"}}], "resourceRules": [FLOW]}],
        }
    },
    "PriorityLevelConfiguration": {
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}
    },
    "DeviceClass": {"spec": {"selectors": [{"cel": {"expression": "device.driver == 'd'"}}]}},
    "DeviceTaintRule": {"spec": {"taint": {"key": "a", "effect": "NoSchedule"}}},
    "ResourceClaim": {"spec": {"devices": {"requests": [DEVICE]}}},
    "ResourceClaimTemplate": {"spec": {"spec": {"devices": {"requests": [DEVICE]}}}},
    "ResourceSlice": {
        "spec": {
            "driver": "d.example.com", "nodeName": "n", "devices": [{"name": "d"}],
            "pool": {"name": "p", "resourceSliceCount": 1, "generation": 0},
        }
    },
    "PodCertificateRequest": {
        "spec": {
            "signerName": "example.com/signer", "maxExpirationSeconds": 3600, "stubPKCS10Request": "",
            "podName": "p", "podUID": "u", "serviceAccountName": "s", "serviceAccountUID": "u",
            "nodeName": "n", "nodeUID": "u",
        }
    },
    "StorageVersionMigration": {"spec": {"resource": {"group": "apps", "resource": "deployments"}}},
    "ControllerRevision": {"data": {"a": 1}, "revision": 1},
    "VolumeAttributesClass": {"driverName": "example.com", "parameters": {"a": "b"}},
    "IPAddress": {
        "metadata": {"name": "10.43.0.9"},
        "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "s"}},
    },
    "ServiceCIDR": {"spec": {"cidrs": ["10.50.0.0/16"]}},
    "ClusterTrustBundle": {
        "spec": {"trustBundle": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"},
    },
    "APIService": {
        "metadata": {"name": "v1.example.com"},
        "spec": {
            "group": "example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
            "service": {"name": "s", "namespace": "default"}, "insecureSkipTLSVerify": True,
        },
    },
    "events.k8s.io/Event": {
        "eventTime": "2026-01-02T03:04:05.000000Z", "reportingController": "example.com/c",
        "reportingInstance": "i", "action": "a", "reason": "r", "type": "Normal", "note": "n",
        "regarding": {"kind": "Pod", "namespace": "default"},
    },
    "autoscaling/v1": {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}
    },
    "ValidatingAdmissionPolicy": {
        "spec": {"matchConstraints": {"resourceRules": [PODS]}, "validations": [{"expression": "true"}]}
    },
    "MutatingAdmissionPolicy": {
        "spec": {
            "matchConstraints": {"resourceRules": [PODS]},
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}],
            "reinvocationPolicy": "Never",
        }
    },
    "MutatingAdmissionPolicyBinding": {"spec": {"policyName": "p"}},
    "ValidatingAdmissionPolicyBinding": {"spec": {"policyName": "p", "validationActions": ["Deny"]}},
    "LimitRange": {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}},
    "RuntimeClass": {"handler": "h"},
    "CertificateSigningRequest": {
        "spec": {"request": REQUEST, "signerName": "example.com/signer", "usages": ["client auth"]},
    },
    "CustomResourceDefinition": {
        "metadata": {"name": "cs.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "cs", "kind": "C"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    },
}  # fmt: skip

_KINDS = {kind.resource.kind: kind for kind in reversed(ALL)}
_KINDS["HorizontalPodAutoscaler"] = next(kind for kind in ALL if kind.resource.api_version == "autoscaling/v2")
_KINDS["events.k8s.io/Event"] = next(
    kind for kind in ALL if kind.resource.plural == "events" and kind.resource.group
)
_KINDS["autoscaling/v1"] = next(kind for kind in ALL if kind.resource.api_version == "autoscaling/v1")
_STEP = re.compile(r"[^.\[\]]+(?=\[|\.|$)|\[[^\]]*\]")


def kind_of(name: str) -> Kind:
    return _KINDS[name]


def changed(obj: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy in which fields are set: {"spec.containers[0].name": "x", "metadata.labels[a.b/c]": GONE}."""
    obj = copy.deepcopy(obj)
    for path, given in changes.items():
        value = given if given is GONE else copy.deepcopy(given)
        *steps, last = _STEP.findall(path)
        place: Any = obj
        for step in steps:
            if step.startswith("[") and isinstance(place, list):
                place = place[int(step[1:-1])]
            else:
                place = place.setdefault(step.strip("[]"), {})
        name = last.strip("[]")
        if isinstance(place, list):
            index = int(name)
            place[index : index + 1] = [] if value is GONE else [value]
        elif value is GONE:
            place.pop(name, None)
        else:
            place[name] = value
    return obj


def complete(name: str, changes: dict[str, Any] | None = None, *, creating: bool = True) -> dict[str, Any]:
    """The valid object of this kind with these changes, pruned, defaulted and prepared as the registry does it."""
    kind = kind_of(name)
    base = copy.deepcopy(VALID[name])
    metadata = base.setdefault("metadata", {})
    metadata.setdefault("name", "x")
    metadata.setdefault("uid", "6c9f6d5c-0000-4000-8000-000000000000")
    if kind.resource.namespaced:
        metadata.setdefault("namespace", "default")
    obj = changed(base, changes or {})
    structure = builtin(kind.definition)
    clean(obj, structure)
    apply_defaults(obj, structure)
    kind.strategy.default(obj)
    if creating:
        kind.strategy.prepare_create(obj)
    return obj


def errors_of_new(name: str, changes: dict[str, Any] | None = None) -> list[str]:
    kind = kind_of(name)
    obj = complete(name, changes)
    problems = [
        f"metadata.name: Invalid value: {why}" for why in kind.strategy.name_problems(obj["metadata"]["name"])
    ]
    return problems + [str(error) for error in kind.strategy.validate(from_dict(kind.type, obj), None)]


def errors_of_update(name: str, before: dict[str, Any], changes: dict[str, Any], *, through: str = "") -> list[str]:
    """`through`: a subresource."""
    kind = kind_of(name)
    old = complete(name, {path: value for path, value in before.items() if not path.startswith("status")})
    old = changed(old, {path: value for path, value in before.items() if path.startswith("status")})
    new = changed(old, changes)
    structure = builtin(kind.definition)
    clean(new, structure)
    apply_defaults(new, structure)
    kind.strategy.default(new)
    if not through:
        kind.strategy.prepare_update(new, old)
    elif through == "status":
        kind.strategy.prepare_status(new, old)
    else:
        kind.strategy.prepare_subresource(new, old, through)
    then, now = from_dict(kind.type, old), from_dict(kind.type, new)
    if not through:
        return [str(error) for error in kind.strategy.validate(now, then)]
    if through == "status":
        return [str(error) for error in kind.strategy.validate_status(now, then)]
    return [str(error) for error in kind.strategy.validate_subresource(now, then, through)]
