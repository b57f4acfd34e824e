"""What is said of wrong pods."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.api.core_v1 import Pod, PodSpec, PodStatus
from minikube.api.meta import from_dict
from minikube.resources.rules.pod import PodRules

from ..objects import GONE, complete, errors_of_new, errors_of_update

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
C = "spec.containers[0]"
NEEDED = "requiredDuringSchedulingIgnoredDuringExecution"
RULES: list[tuple[dict[str, Any], str]] = [
    ({"spec.containers": []}, "spec.containers: Required value"),
    ({f"{C}.name": ""}, f"{C}.name: Required value"),
    ({f"{C}.name": "A_b"}, f'{C}.name: Invalid value: "A_b": {LABEL}'),
    ({f"{C}.image": ""}, f"{C}.image: Required value"),
    ({f"{C}.image": " i"}, f'{C}.image: Invalid value: " i": must not have leading or trailing whitespace'),
    ({f"{C}.imagePullPolicy": "Often"},
     f'{C}.imagePullPolicy: Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"'),
    ({"spec.containers[1]": {"name": "c", "image": "j"}}, 'spec.containers[1].name: Duplicate value: "c"'),
    ({"spec.initContainers": [{"name": "c", "image": "j"}]}, 'spec.initContainers[0].name: Duplicate value: "c"'),
    ({"spec.initContainers": [{"name": "i", "image": "j", "readinessProbe": {"exec": {"command": ["a"]}}}]},
     "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without "
     "restartPolicy=Always"),
    ({"spec.ephemeralContainers": [{"name": "e", "image": "j"}]},
     "spec.ephemeralContainers: Forbidden: cannot be set on create"),
    ({f"{C}.ports": [{"containerPort": 0}]}, f"{C}.ports[0].containerPort: Required value"),
    ({f"{C}.ports": [{"containerPort": 70000}]},
     f"{C}.ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"),
    ({f"{C}.ports": [{"containerPort": 80, "protocol": "X"}]},
     f'{C}.ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"'),
    ({f"{C}.ports": [{"containerPort": 80, "name": "1"}]},
     f'{C}.ports[0].name: Invalid value: "1": must contain at least one letter (a-z)'),
    ({f"{C}.ports": [{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]},
     f'{C}.ports[1].hostPort: Duplicate value: "TCP//5"'),
    ({"spec.hostNetwork": True, f"{C}.ports": [{"containerPort": 1, "hostPort": 5}]},
     f"{C}.ports[0].hostPort: Invalid value: 5: must match `containerPort` when `hostNetwork` is true"),
    ({f"{C}.env": [{"name": ""}]}, f"{C}.env[0].name: Required value"),
    ({f"{C}.env": [{"name": "a=b"}]},
     f'{C}.env[0].name: Invalid value: "a=b": a valid environment variable name must consist only of printable '
     "ASCII characters other than '=' (regex used for validation is '^[ -<>-~]+$')"),
    ({f"{C}.env": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "spec.no"}}}]},
     f'{C}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.no": error converting fieldPath: '
     "field label not supported: spec.no"),
    ({f"{C}.env": [{"name": "a", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
     f'{C}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'),
    ({f"{C}.volumeMounts": [{"name": "v", "mountPath": "/v"}]}, f'{C}.volumeMounts[0].name: Not found: "v"'),
    ({"spec.volumes": [{"name": "v"}], f"{C}.volumeMounts": [
        {"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/w", "subPath": "../x"}]},
     f'{C}.volumeMounts[1].subPath: Invalid value: "../x": must not contain \'..\''),
    ({"spec.volumes": [{"name": "v"}, {"name": "v"}]}, 'spec.volumes[1].name: Duplicate value: "v"'),
    ({"spec.volumes": [{"name": "v", "hostPath": {"path": "/a"}, "emptyDir": {}}]},
     "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"),
    ({"spec.volumes": [{"name": "v", "secret": {}}]}, "spec.volumes[0].secret.secretName: Required value"),
    ({"spec.volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 1024}}]},
     "spec.volumes[0].configMap.defaultMode: Invalid value: 1024: must be a number between 0 and 0777 (octal), "
     "both inclusive"),
    ({f"{C}.resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
     f'{C}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'),
    ({f"{C}.resources": {"requests": {"memory": "-1Gi"}}},
     f'{C}.resources.requests[memory]: Invalid value: "-1Gi": must be greater than or equal to 0'),
    ({f"{C}.resources": {"requests": {"blah": "1"}}},
     f'{C}.resources.requests[blah]: Invalid value: "blah": must be a standard resource for containers'),
    ({f"{C}.resources": {"limits": {"example.com/gpu": "500m"}, "requests": {"example.com/gpu": 1}}},
     f'{C}.resources.limits[example.com/gpu]: Invalid value: "500m": must be an integer'),
    ({f"{C}.livenessProbe": {}}, f"{C}.livenessProbe: Required value: must specify a handler type"),
    ({f"{C}.livenessProbe": {"exec": {"command": ["a"]}, "successThreshold": 2}},
     f"{C}.livenessProbe.successThreshold: Invalid value: 2: must be 1"),
    ({f"{C}.readinessProbe": {"httpGet": {"port": 0}}},
     f"{C}.readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive"),
    ({f"{C}.securityContext": {"runAsUser": -1}},
     f"{C}.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"),
    ({f"{C}.securityContext": {"seccompProfile": {"type": "Localhost"}}},
     f"{C}.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is "
     "Localhost"),
    ({"spec.restartPolicy": "Maybe"},
     'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "Never", "OnFailure"'),
    ({"spec.dnsPolicy": "None"},
     "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
    ({"spec.activeDeadlineSeconds": 0},
     "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"),
    ({"spec.hostname": "A"}, f'spec.hostname: Invalid value: "A": {LABEL}'),
    ({"spec.tolerations": [{"operator": "Equal"}]},
     'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which '
     'means "match all values and all keys"'),
    ({"spec.tolerations": [{"key": "a", "tolerationSeconds": 5}]},
     'spec.tolerations[0].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set'),
    ({f"spec.affinity.nodeAffinity.{NEEDED}": {"nodeSelectorTerms": []}},
     f"spec.affinity.nodeAffinity.{NEEDED}.nodeSelectorTerms: Required value: "
     "must have at least one node selector term"),
    ({f"spec.affinity.podAntiAffinity.{NEEDED}": [{"topologyKey": ""}]},
     f"spec.affinity.podAntiAffinity.{NEEDED}[0].topologyKey: Required value: "
     "can not be empty"),
    ({"spec.topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]},
     "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"),
    ({"spec.schedulingGates": [{"name": "a"}], "spec.nodeName": "n"},
     "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"),
]  # fmt: skip


def test_the_least_pod_is_valid():
    assert errors_of_new("Pod") == []


@pytest.mark.parametrize(
    ("changes", "message"), RULES, ids=lambda value: None if isinstance(value, dict) else value[:60]
)
def test_a_wrong_pod_is_told_what_is_wrong(changes, message):
    assert message in errors_of_new("Pod", changes)


NODE: dict[str, Any] = {"spec.nodeName": "n"}


@pytest.mark.parametrize(
    ("before", "changes", "start"),
    [
        ({}, {"spec.containers[0].image": "j"}, ""),
        ({}, {"spec.tolerations": [{"key": "a", "operator": "Exists"}]}, ""),
        ({"spec.activeDeadlineSeconds": 5}, {"spec.activeDeadlineSeconds": 4}, ""),
        ({"spec.schedulingGates": [{"name": "g"}]}, {"spec.schedulingGates": GONE}, ""),
        ({"spec.schedulingGates": [{"name": "g"}]}, {"spec.nodeSelector": {"a": "b"}}, ""),
        ({}, {"metadata.labels": {"a": "b"}}, ""),
        ({}, {"spec.nodeSelector": {"a": "b"}}, "spec: Forbidden: pod updates may not change fields other than"),
        ({}, {"spec.containers[1]": {"name": "d", "image": "j", "imagePullPolicy": "Always",
                                     "terminationMessagePolicy": "File"}},
         "spec.containers: Forbidden: pod updates may not add or remove containers"),
        ({"spec.activeDeadlineSeconds": 5}, {"spec.activeDeadlineSeconds": 6},
         "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"),
        ({"spec.tolerations": [{"key": "a", "operator": "Exists"}]}, {"spec.tolerations": []},
         "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"),
        ({}, {"spec.schedulingGates": [{"name": "g"}]},
         "spec.schedulingGates: Forbidden: only deletion is allowed, but found new scheduling gate 'g'"),
    ],
)  # fmt: skip
def test_only_little_of_a_pod_may_change(before, changes, start):
    errors = errors_of_update("Pod", before, changes)
    assert errors == [] if not start else errors[0].startswith(start), errors


def test_a_new_pod_is_pending_with_its_quality_of_service():
    assert complete("Pod")["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    limits = {"cpu": "1", "memory": "1Gi"}
    guaranteed = complete("Pod", {"spec.containers[0].resources": {"limits": limits}})
    assert guaranteed["status"]["qosClass"] == "Guaranteed"
    burstable = complete("Pod", {"spec.containers[0].resources": {"requests": limits}})
    assert burstable["status"]["qosClass"] == "Burstable"


def test_a_gated_pod_says_so_from_the_start():
    gated = complete("Pod", {"spec.schedulingGates": [{"name": "g"}]})
    assert gated["status"]["conditions"][0]["reason"] == "SchedulingGated"


@pytest.mark.parametrize(
    ("node", "phase", "period", "asked", "grace"),
    [
        ("", "Pending", 30, None, 0),
        ("n", "Running", 30, None, 30),
        ("n", "Running", 30, 5, 5),
        ("n", "Running", 30, 0, 0),
        ("n", "Succeeded", 30, 60, 0),
        ("n", "Running", -1, None, 1),
    ],
)
def test_a_pod_is_given_time_to_end(node, phase, period, asked, grace):
    spec = PodSpec(node_name=node, termination_grace_period_seconds=period)
    assert PodRules().deletion_grace(Pod(spec=spec, status=PodStatus(phase=phase)), asked) == grace


def test_a_pod_is_found_by_its_node_and_phase():
    pod = from_dict(Pod, complete("Pod", NODE))
    fields = PodRules().fields(pod)
    assert fields["spec.nodeName"] == "n"
    assert fields["status.phase"] == "Pending"
    assert fields.keys() == PodRules().fields(Pod()).keys()
