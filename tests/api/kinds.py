"""A valid object of every kind, numbered, to create for real."""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from minikube.resources.all import ALL
from minikube.resources.base import Kind
from tests.unit.resources.objects import VALID

RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
HOOK = {
    "name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
    "clientConfig": {"url": "https://127.0.0.1:1/x"},
    "rules": [{**RULE, "apiGroups": ["none.example.com"]}],
}  # fmt: skip
CLAIM = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}
MORE: dict[str, dict[str, Any]] = {
    "APIService": {
        "spec": {
            "group": "none.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10,
            "service": {"namespace": "default", "name": "none"}, "insecureSkipTLSVerify": True,
        }
    },
    "ControllerRevision": {"data": {"a": 1}, "revision": 1},
    "ClusterTrustBundle": {},
    "ServiceCIDR": {"spec": {"cidrs": ["192.168.100.0/24"]}},
    "IPAddress": {"spec": {"parentRef": {"resource": "services", "name": "x", "namespace": "default"}}},
    "VolumeAttachment": {
        "spec": {"attacher": "a.example.com", "nodeName": "n", "source": {"persistentVolumeName": "p"}}
    },
    "CSIDriver": {"spec": {}},
    "CSINode": {"spec": {"drivers": []}},
    "CSIStorageCapacity": {"storageClassName": "s"},
    "VolumeAttributesClass": {"driverName": "a.example.com", "parameters": {"a": "b"}},
    "MutatingAdmissionPolicyBinding": {"spec": {"policyName": "p"}},
    "MutatingAdmissionPolicy": {
        "spec": {
            "matchConstraints": {"resourceRules": [{**RULE, "apiGroups": ["none.example.com"]}]},
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {"expression": "Object{metadata: Object.metadata{}}"},
                }
            ],
            "reinvocationPolicy": "Never",
        }
    },
    "MutatingWebhookConfiguration": {"webhooks": [HOOK]},
    "ValidatingWebhookConfiguration": {"webhooks": [HOOK]},
    "ValidatingAdmissionPolicy": {
        "spec": {
            "matchConstraints": {"resourceRules": [{**RULE, "apiGroups": ["none.example.com"]}]},
            "validations": [{"expression": "true"}],
        }
    },
    "ValidatingAdmissionPolicyBinding": {"spec": {"policyName": "p", "validationActions": ["Deny"]}},
    "FlowSchema": {
        "spec": {
            "matchingPrecedence": 10000, "priorityLevelConfiguration": {"name": "exempt"},
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "nobody"}}],
                    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                }
            ],
        }
    },
    "PriorityLevelConfiguration": {
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}, "nominalConcurrencyShares": 2}}
    },
    "DeviceClass": {"spec": {}},
    "DeviceTaintRule": {"spec": {"taint": {"key": "a", "effect": "NoSchedule"}}},
    "ResourceClaim": {"spec": CLAIM},
    "ResourceClaimTemplate": {"spec": {"spec": CLAIM}},
    "ResourceSlice": {
        "spec": {
            "driver": "a.example.com", "allNodes": True, "devices": [],
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
        }
    },
    "StorageVersionMigration": {"spec": {"resource": {"group": "", "resource": "configmaps"}}},
}  # fmt: skip
PENDING = {"PodCertificateRequest"}
"""Needs a running pod's proof of possession."""
SERVED = [kind for kind in ALL if {"list", "create"} <= set(kind.verbs) and kind.resource.kind not in PENDING]
LABEL = "operations%3Dyes"
"""Selects what `manifest` makes."""


def name_of(kind: Kind, number: int) -> str:
    match kind.resource.kind:
        case "IPAddress":
            return f"10.43.77.{number + 1}"
        case "APIService":
            return f"v{number + 1}.none.example.com"
        case "CustomResourceDefinition":
            return f"things{number}.operations.example.com"
    return f"operations-{number}"


def manifest(kind: Kind, number: int, namespace: str) -> dict[str, Any]:
    name = kind.resource.kind
    obj = copy.deepcopy({**VALID, **MORE}[name])
    if kind.resource.api_version == "events.k8s.io/v1":
        obj = {
            "regarding": {"kind": "Pod", "namespace": namespace}, "reason": "r", "type": "Normal", "action": "a",
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "c.example.com/c",
            "reportingInstance": "i",
        }  # fmt: skip
    elif kind.resource.api_version == "autoscaling/v1":
        obj = {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
            }
        }
    obj = {"apiVersion": kind.resource.api_version, "kind": name, **obj}
    obj["metadata"] = {"name": name_of(kind, number), "labels": {"operations": "yes"}}
    match name:
        case "Event" if not kind.resource.group:
            obj["involvedObject"] = {"kind": "Pod", "namespace": namespace}
        case "CertificateSigningRequest":
            obj["spec"] = {"request": _request(), "usages": ["client auth"], "signerName": "example.com/none"}
        case "ClusterTrustBundle":
            obj["spec"] = {"trustBundle": _certificate()}
        case "ServiceCIDR":
            obj["spec"]["cidrs"] = [f"192.168.{100 + number}.0/24"]
        case "APIService":
            obj["spec"]["version"] = f"v{number + 1}"
        case "CustomResourceDefinition":
            obj["spec"] = copy.deepcopy(obj["spec"])
            obj["spec"]["group"] = "operations.example.com"
            obj["spec"]["names"] = {"plural": f"things{number}", "kind": f"Thing{number}"}
    return obj


_SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "operations")])


def _request() -> str:
    """A certificate request as spec.request wants it."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(_SUBJECT).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def _certificate() -> str:
    """A self-signed CA in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(_SUBJECT, _SUBJECT, key.public_key(), 1, now, now + timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(True, None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
