"""What is said of wrong objects of every kind but pods."""

from __future__ import annotations

from typing import Any

import pytest

from .objects import GONE, VALID, complete, errors_of_new, errors_of_update

NAME_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
    "is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
MISMATCH = 'Invalid value: {"app":"b"}: `selector` does not match template `labels`'
ROLLING = "spec.strategy.rollingUpdate"

RULES: list[tuple[str, dict[str, Any], str]] = [
    ("Service", {"metadata.name": "1a"}, f"metadata.name: Invalid value: {NAME_1035}"),
    ("Service", {"spec.ports": []}, "spec.ports: Required value"),
    ("Service", {"spec.ports": [{"port": 0}]},
     "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
    ("Service", {"spec.ports[1]": {"port": 81}}, "spec.ports[0].name: Required value"),
    ("Service", {"spec.ports": [{"name": "a", "port": 1}, {"name": "a", "port": 2}]},
     'spec.ports[1].name: Duplicate value: "a"'),
    ("Service", {"spec.type": "X"},
     'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", '
     '"LoadBalancer", "NodePort"'),
    ("Service", {"spec.ports[0].nodePort": 30000},
     "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"),
    ("Service", {"spec.type": "NodePort", "spec.clusterIP": "None", "spec.clusterIPs": ["None"]},
     'spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services'),
    ("Service", {"spec.type": "ExternalName"}, "spec.externalName: Required value"),
    ("Service", {"spec.sessionAffinity": "X"},
     'spec.sessionAffinity: Unsupported value: "X": supported values: "ClientIP", "None"'),
    ("Service", {"spec.externalTrafficPolicy": "Local"},
     'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'),
    ("Service", {"spec.externalIPs": ["127.0.0.1"]},
     'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'),
    ("ConfigMap", {"data": {"a b": ""}},
     'data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, \'-\', \'_\' or '
     "'.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"),
    ("ConfigMap", {"data": {"a": "x" * 1_100_000}}, "[]: Too long: may not be more than 1048576 bytes"),
    ("ConfigMap", {"binaryData": {"a": "Yg=="}},
     'data[a]: Invalid value: "a": duplicate of key present in binaryData'),
    ("Secret", {"type": "kubernetes.io/tls"}, "data[tls.crt]: Required value"),
    ("Secret", {"data": {"a": "eHh4" * 400_000}}, "data: Too long: may not be more than 1048576 bytes"),
    ("EndpointSlice", {"ports": [{"name": f"p{number}", "port": 80} for number in range(20_001)]},
     "ports: Too many: 20001: must have at most 20000 items"),
    ("EndpointSlice", {"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001},
     "endpoints: Too many: 1001: must have at most 1000 items"),
    ("EndpointSlice", {"endpoints[0].addresses": [f"10.0.0.{number}" for number in range(101)]},
     "endpoints[0].addresses: Too many: 101: must have at most 100 items"),
    ("events.k8s.io/Event", {"note": "n" * 1025}, 'message: Invalid value: "": can have at most 1024 characters'),
    ("ValidatingWebhookConfiguration",
     {"webhooks[0].matchConditions": [{"name": f"c{number}", "expression": "true"} for number in range(65)]},
     "webhooks[0].matchConditions: Too many: 65: must have at most 64 items"),
    ("ValidatingAdmissionPolicy",
     {"spec.auditAnnotations": [{"key": f"k{number}", "valueExpression": "'a'"} for number in range(21)]},
     "spec.auditAnnotations: Invalid value: ["
     + ",".join(f"""{{"key":"k{number}","valueExpression":"'a'"}}""" for number in range(21))
     + "]: must not have more than 20 auditAnnotations"),
    ("ValidatingAdmissionPolicy",
     {"spec.auditAnnotations": [{"key": "a", "valueExpression": f"'{'x' * 5200}'"}]},
     "spec.auditAnnotations[0].valueExpression: Required value: must not exceed 5120 bytes in length"),
    ("ResourceSlice", {"spec.devices[0].attributes": {f"a{number}": {"int": number} for number in range(33)}},
     "spec.devices[0]: Invalid value: 33: the total number of attributes and capacities must not exceed 32"),
    ("ResourceSlice", {"spec.devices[0].attributes": {"a": {"ints": [*range(49)]}}},
     "spec.devices[0]: Invalid value: 49: the total number of attribute values must not exceed 48"),
    ("ResourceSlice",
     {"spec.devices": GONE, "spec.sharedCounters": [
         {"name": "a", "counters": {f"c{number}": {"value": "1"} for number in range(33)}}]},
     "spec.sharedCounters[0].counters: Too many: 33: must have at most 32 items"),
    ("StorageClass", {"parameters": {f"p{number}": "" for number in range(513)}},
     "parameters: Too long: may not be more than 512 bytes"),
    ("StorageClass", {"parameters": {"": "a"}}, 'parameters: Invalid value: "": field can not be empty.'),
    ("Secret", {"type": "kubernetes.io/service-account-token"},
     "metadata.annotations[kubernetes.io/service-account.name]: Required value"),
    ("Node", {"spec.taints": [{"key": "a", "effect": "X"}]},
     'spec.taints[0].effect: Unsupported value: "X": supported values: "NoExecute", "NoSchedule", '
     '"PreferNoSchedule"'),
    ("Event", {"involvedObject.namespace": "other"},
     'involvedObject.namespace: Invalid value: "other": does not match event.namespace'),
    ("Deployment", {"spec.replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ("Deployment", {"spec.selector": {}},
     "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
    ("Deployment", {"spec.template.metadata.labels": {"app": "b"}}, f"spec.template.metadata.labels: {MISMATCH}"),
    ("Deployment", {"spec.template.spec.restartPolicy": "Never"},
     'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'),
    ("Deployment", {ROLLING: {"maxSurge": 0, "maxUnavailable": 0}},
     f"{ROLLING}.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"),
    ("Deployment", {"spec.strategy": {"type": "Recreate", "rollingUpdate": {}}},
     f"{ROLLING}: Forbidden: may not be specified when strategy `type` is 'Recreate'"),
    ("Deployment", {"spec.progressDeadlineSeconds": 5, "spec.minReadySeconds": 5},
     "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"),
    ("Deployment", {"spec.template.spec.containers[0].image": ""},
     "spec.template.spec.containers[0].image: Required value"),
    ("ReplicaSet", {"spec.template": GONE}, "spec.template: Required value"),
    ("DaemonSet", {"spec.selector": {}},
     "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"),
    ("DaemonSet", {"spec.updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}},
     "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable "
     "is non-zero"),
    ("StatefulSet", {"spec.podManagementPolicy": "X"},
     'spec.podManagementPolicy: Unsupported value: "X": supported values: "OrderedReady", "Parallel"'),
    ("ReplicationController", {"spec.template.metadata.labels": {"app": "b"}},
     f"spec.template.metadata.labels: {MISMATCH}"),
    ("Job", {"spec.template.spec.restartPolicy": "Always"},
     'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'),
    ("Job", {"spec.completionMode": "Indexed", "spec.completions": GONE, "spec.parallelism": 1},
     "spec.completions: Required value: when completion mode is Indexed"),
    ("Job", {"spec.backoffLimit": -1}, "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"),
    ("CronJob", {"spec.schedule": ""}, "spec.schedule: Required value"),
    ("CronJob", {"spec.schedule": "* *"},
     'spec.schedule: Invalid value: "* *": expected exactly 5 fields, found 2: [* *]'),
    ("CronJob", {"spec.timeZone": "Mars/Olympus"},
     'spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'),
    ("CronJob", {"metadata.name": "x" * 53}, "metadata.name: Invalid value: must be no more than 52 characters"),
    ("PersistentVolumeClaim", {"spec.accessModes": []},
     "spec.accessModes: Required value: at least 1 access mode is required"),
    ("PersistentVolumeClaim", {"spec.resources": {}}, "spec.resources[storage]: Required value"),
    ("PersistentVolume", {"spec.hostPath": GONE}, "spec: Required value: must specify a volume type"),
    ("PersistentVolume", {"spec.capacity": {}}, "spec.capacity: Required value"),
    ("PersistentVolume", {"spec.hostPath": GONE, "spec.local": {"path": "/d"}},
     "spec.nodeAffinity: Required value: Local volume requires node affinity"),
    ("Endpoints", {"subsets[0].addresses[0].ip": "127.0.0.1"},
     'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range '
     "(127.0.0.0/8, ::1/128)"),
    ("EndpointSlice", {"addressType": "IPv6"},
     'endpoints[0].addresses[0]: Invalid value: "10.0.0.1": must be an IPv6 address'),
    ("Lease", {"spec.leaseDurationSeconds": 0},
     "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
    ("Role", {"rules[0].verbs": []}, "rules[0].verbs: Required value: verbs must contain at least one value"),
    ("Role", {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
     'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs'),
    ("ClusterRole", {"rules[0].resources": []},
     "rules[0].resources: Required value: resource rules must supply at least one resource"),
    ("RoleBinding", {"roleRef.kind": "X"},
     'roleRef.kind: Unsupported value: "X": supported values: "ClusterRole", "Role"'),
    ("ClusterRoleBinding", {"subjects": [{"kind": "ServiceAccount", "name": "a"}]},
     "subjects[0].namespace: Required value"),
    ("Ingress", {"spec.defaultBackend": GONE},
     "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"),
    ("Ingress", {"spec.rules": [{"host": "1.2.3.4"}]},
     'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'),
    ("Ingress", {"spec.rules": [{"http": {"paths": [
        {"path": "x", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 1}}}}]}}]},
     'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path'),
    ("IngressClass", {"spec.controller": "c"},
     'spec.controller: Invalid value: "c": must be a domain-prefixed path (such as "acme.io/foo")'),
    ("NetworkPolicy", {"spec.ingress": [{"from": [{}]}]},
     "spec.ingress[0].from[0]: Required value: must specify a peer"),
    ("NetworkPolicy", {"spec.ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/8"]}}]}]},
     'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/8": must be a strict subset of `cidr`'),
    ("PodDisruptionBudget", {"spec.minAvailable": "101%"},
     'spec.minAvailable: Invalid value: "101%": must not be greater than 100%'),
    ("HorizontalPodAutoscaler", {"spec.maxReplicas": 0},
     "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
    ("HorizontalPodAutoscaler", {"spec.minReplicas": 5},
     "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"),
    ("PriorityClass", {"value": 2_000_000_000},
     "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
    ("StorageClass", {"provisioner": ""}, "provisioner: Required value"),
    ("ResourceQuota", {"spec.hard": {"blah": 1}},
     'spec.hard[blah]: Invalid value: "blah": must be a standard resource type or fully qualified'),
    ("LimitRange", {"spec.limits[0].min": {"cpu": "2"}},
     'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'),
    ("CertificateSigningRequest", {"spec.signerName": ""}, "spec.signerName: Required value"),
    ("CustomResourceDefinition", {"metadata.name": "x"},
     'metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group'),
    ("CustomResourceDefinition", {"spec.versions[0].storage": False},
     'spec.versions: Invalid value: ["v1"]: must have exactly one version marked as storage version'),
    ("CustomResourceDefinition", {"spec.versions[0].schema": GONE},
     "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"),
    ("CustomResourceDefinition",
     {"spec.versions[0].schema.openAPIV3Schema": {"type": "object", "properties": {"spec": {}}}},
     "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for "
     "specified object fields"),
]  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in VALID if kind != "CertificateSigningRequest"])
def test_the_least_object_of_a_kind_is_valid(kind):
    assert errors_of_new(kind) == []


@pytest.mark.parametrize(
    ("kind", "changes", "message"), RULES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_wrong_object_is_told_what_is_wrong(kind, changes, message):
    assert message in errors_of_new(kind, changes)


IMMUTABLE = "field is immutable"
UPDATES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("CSINode", {}, {"spec.drivers[0].nodeID": "m"},
     'spec.drivers: Invalid value: {"name":"d.example.com","nodeID":"m"}: field is immutable'),
    ("Deployment", {}, {"spec.selector": {"matchLabels": {"app": "a", "x": "y"}},
                        "spec.template.metadata.labels": {"app": "a", "x": "y"}},
     'spec.selector: Invalid value: {"matchLabels":{"app":"a","x":"y"}}: field is immutable'),
    ("StatefulSet", {}, {"spec.serviceName": "other"},
     "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
     "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are "
     "forbidden"),
    ("ConfigMap", {"immutable": True}, {"data": {"a": "c"}},
     "data: Forbidden: field is immutable when `immutable` is set"),
    ("Secret", {}, {"type": "example.com/x"}, 'type: Invalid value: "example.com/x": field is immutable'),
    ("Job", {"spec.completions": 1}, {"spec.completions": 2},
     "spec.completions: Invalid value: 2: field is immutable"),
    ("RoleBinding", {}, {"roleRef.name": "b"},
     'roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"b"}: '
     "cannot change roleRef"),
    ("Service", {"spec.clusterIP": "10.0.0.1", "spec.clusterIPs": ["10.0.0.1"]},
     {"spec.clusterIP": "10.0.0.2", "spec.clusterIPs": ["10.0.0.2"]},
     'spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'),
    ("StorageClass", {}, {"provisioner": "example.com/q"},
     "provisioner: Forbidden: updates to provisioner are forbidden."),
    ("PriorityClass", {}, {"value": 11}, "value: Forbidden: may not be changed in an update."),
    ("Node", {"spec.podCIDR": "10.42.1.0/24", "spec.podCIDRs": ["10.42.1.0/24"]}, {"spec.podCIDR": "10.42.2.0/24"},
     'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "before", "changes", "message"), UPDATES, ids=[one[0] for one in UPDATES])
def test_what_is_fixed_cannot_be_changed(kind, before, changes, message):
    assert errors_of_update(kind, before, {}) == []
    assert message in errors_of_update(kind, before, changes)


def test_a_job_gets_a_selector_that_only_its_pods_match():
    job = complete("Job")
    uid = job["metadata"]["uid"]
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["batch.kubernetes.io/job-name"] == "x"
    assert job["metadata"]["labels"] == labels


def test_resources_of_a_pod_are_completed_from_its_containers():
    containers = [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}]
    limited = complete("Pod", {"spec.containers": containers, "spec.resources": {"limits": {"memory": "1Gi"}}})
    assert limited["spec"]["resources"] == {
        "limits": {"memory": "1Gi"},
        "requests": {"cpu": "1", "memory": "1Gi"},
    }
    asked = complete("Pod", {"spec.containers": containers, "spec.resources": {"requests": {"cpu": "1"}}})
    assert asked["spec"]["resources"] == {"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}


def test_a_taint_of_a_device_says_since_when_it_is_there():
    assert complete("DeviceTaintRule")["spec"]["taint"]["timeAdded"]


def test_a_namespace_is_active_finalized_by_kubernetes_and_labelled_with_its_name():
    namespace = complete("Namespace")
    assert namespace["status"] == {"phase": "Active"}
    assert namespace["spec"]["finalizers"] == ["kubernetes"]
    assert namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] == "x"


def test_string_data_of_a_secret_ends_up_in_its_data():
    assert complete("Secret", {"stringData": {"b": "c"}})["data"] == {"a": "Yg==", "b": "Yw=="}


def test_what_a_service_was_given_is_kept_by_a_client_that_leaves_it_out():
    before = {"spec.clusterIP": "10.0.0.1", "spec.clusterIPs": ["10.0.0.1"]}
    assert errors_of_update("Service", before, {"spec.clusterIP": GONE, "spec.clusterIPs": GONE}) == []


def test_a_node_without_drivers_says_so() -> None:
    """As its schema requires."""
    assert complete("CSINode", {"spec": GONE})["spec"] == {"drivers": []}
    assert complete("CSINode")["spec"]["drivers"][0]["nodeID"] == "n"
