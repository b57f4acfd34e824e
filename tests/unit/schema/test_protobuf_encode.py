"""What is written in protobuf is read back as it was: every kind, and what JSON spells in its own way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minikube.schema import protobuf, protobuf_encode
from tests.unit.resources.objects import VALID, complete, kind_of

POD = "io.k8s.api.core.v1.Pod"
DEFINITION = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"


def without_zeros(value: Any) -> Any:
    """Readers cannot tell zeros of most fields from nothing."""
    if isinstance(value, dict):
        kept = {name: without_zeros(sub) for name, sub in value.items()}
        return {name: sub for name, sub in kept.items() if sub not in ("", 0, False, None) and sub not in ([], {})}
    return [without_zeros(item) for item in value] if isinstance(value, list) else value


def there_and_back(obj: dict[str, Any], definition: str) -> dict[str, Any]:
    return protobuf.decode(protobuf_encode.encode(obj, definition), definition)


@pytest.mark.parametrize("name", sorted(VALID))
def test_every_kind_is_read_back(name: str) -> None:
    kind = kind_of(name)
    assert protobuf_encode.known(kind.definition)
    obj = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, **complete(name)}
    assert without_zeros(there_and_back(obj, kind.definition)) == without_zeros(obj)


FULL = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {
        "name": "p", "creationTimestamp": "2026-01-02T03:04:05Z", "annotations": {"a": "b", "c": ""},
        "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {".": {}, "k:{\"a\":1}": {}}}}],
        "ownerReferences": [{"kind": "K", "name": "o", "uid": "u", "apiVersion": "a/v1", "controller": False}],
    },
    "spec": {
        "terminationGracePeriodSeconds": 0, "priority": -5, "nodeSelector": {"x": "y"},
        "containers": [
            {
                "name": "c", "command": ["a", "", "b"], "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "100m"}, "requests": {"memory": "1Gi"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 3},
                "readinessProbe": {"tcpSocket": {"port": 8080}},
                "env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "m", "optional": True}}}],
            }
        ],
        "volumes": [
            {"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "h", "hostPath": {"path": "/h"}},
        ],
    },
    "status": {"startTime": "2026-01-02T03:04:05Z", "containerStatuses": [{"name": "c", "restartCount": 0}]},
}  # fmt: skip


def test_an_answer_is_an_object_a_list_of_them_or_a_status() -> None:
    head, item = protobuf_encode.list_head({"resourceVersion": "7"}), protobuf_encode.body(FULL, POD)
    found = protobuf.decode_answer(
        protobuf_encode.envelope("v1", "PodList", head + protobuf_encode.item(item)), POD
    )
    assert (found["kind"], found["metadata"]["resourceVersion"]) == ("PodList", "7")
    assert found["items"][0]["metadata"]["name"] == "p"
    status = {"apiVersion": "v1", "kind": "Status", "status": "Success"}
    told = protobuf_encode.encode(status, "io.k8s.apimachinery.pkg.apis.meta.v1.Status")
    assert without_zeros(protobuf.decode_answer(told, POD)) == status
    with pytest.raises(protobuf.ProtobufError):
        protobuf.decode_answer(protobuf_encode.envelope("meta.k8s.io/v1", "PartialObjectMetadata", b""), POD)


def test_what_json_spells_in_its_own_way() -> None:
    assert there_and_back(FULL, POD) == FULL


def test_schemas() -> None:
    schema = {
        "type": "object", "x-kubernetes-validations": [{"rule": "self.a > 1", "message": "m"}],
        "properties": {
            "a": {"type": "integer", "default": 3, "enum": [1, "two", None, {"b": 1}], "minimum": 0.5},
            "b": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-map-keys": ["k"]},
            "c": {"additionalProperties": True}, "d": {"additionalProperties": {"type": "string"}},
            "e": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
    }  # fmt: skip
    versions = [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": schema}}]
    obj = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "spec": {"versions": versions},
    }
    assert there_and_back(obj, DEFINITION) == obj


API = "io.k8s.api."
ZEROS = [
    ("coordination.v1.Lease", {"leaseTransitions": 0, "holderIdentity": "", "leaseDurationSeconds": 30}),
    ("policy.v1.PodDisruptionBudget", {"maxUnavailable": 0}),
    ("apps.v1.Deployment", {"replicas": 0, "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}),
    ("autoscaling.v2.HorizontalPodAutoscaler", {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}),
    ("core.v1.PersistentVolumeClaim", {"storageClassName": ""}),
    ("core.v1.Pod", {"containers": [{"name": "c", "securityContext": {"privileged": False, "runAsUser": 0}}]}),
    (
        "flowcontrol.v1.PriorityLevelConfiguration",
        {"type": "Limited", "limited": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    ),
]
"""What a client says by a zero: behind a pointer in Go, or never left out in JSON."""


@pytest.mark.parametrize(("definition", "spec"), ZEROS)
def test_zeros_that_were_said_are_kept(definition: str, spec: dict[str, Any]) -> None:
    obj = {"apiVersion": "v1", "kind": definition.rpartition(".")[2], "spec": spec}
    assert there_and_back(obj, API + definition) == obj


def test_counts_that_json_always_has_are_kept() -> None:
    status = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 1, "expectedPods": 0}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "status": status}
    assert there_and_back(budget, API + "policy.v1.PodDisruptionBudget") == budget
    lowest = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 0}
    assert there_and_back(lowest, API + "scheduling.v1.PriorityClass") == lowest


def test_a_definition_keeps_false_and_zero() -> None:
    schema = {"type": "object", "additionalProperties": False, "properties": {"n": {"default": 0, "maximum": 0.0}}}
    versions = [{"name": "v1", "served": False, "storage": False, "schema": {"openAPIV3Schema": schema}}]
    obj = {"apiVersion": "v1", "kind": "CustomResourceDefinition", "spec": {"versions": versions}}
    assert there_and_back(obj, DEFINITION) == obj


def test_zeros_that_go_always_writes_are_not_taken_for_said() -> None:
    """An update must not change what the client did not: an empty value in a template would be another template."""
    spec = {
        "tolerations": [{"key": "k", "operator": "Exists", "value": "", "effect": ""}],
        "containers": [{"name": "c", "stdin": False, "env": [{"name": "E", "value": ""}], "workingDir": ""}],
        "hostNetwork": False, "nodeName": "",
    }  # fmt: skip
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
    assert there_and_back(pod, POD)["spec"] == {
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "containers": [{"name": "c", "env": [{"name": "E"}]}],
    }
    port = {"port": 80, "targetPort": 0, "nodePort": 0, "name": ""}
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [port]}}
    assert there_and_back(service, API + "core.v1.Service")["spec"] == {"ports": [{"port": 80}]}
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "spec": {"storageClassName": ""}}
    assert there_and_back(volume, API + "core.v1.PersistentVolume")["spec"] == {}


def test_every_name_of_a_pointer_is_one_of_a_field() -> None:
    fields = {field for name in protobuf.messages() if (found := protobuf.message(name)) for field in found.zeros}
    short = {name.rpartition(".")[2]: name for name in protobuf.messages()}
    assert fields >= protobuf.POINTERS
    for each in protobuf.PLAIN | protobuf.SAID:
        owner, field = each.split(".")
        found = protobuf.message(short[owner])
        assert found is not None
        assert (field in found.zeros) == (each in protobuf.SAID)


TEXT = st.text(st.characters(codec="utf-8"), min_size=1)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(TEXT, TEXT),
    st.lists(TEXT),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.datetimes(min_value=datetime(1971, 1, 1)),
)
def test_any_text_number_and_time(
    labels: dict[str, str], arguments: list[str], small: int, big: int, at: Any
) -> None:
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": labels, "deletionTimestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "spec": {"priority": small, "terminationGracePeriodSeconds": big, "containers": [{"args": arguments}]},
    }
    assert without_zeros(there_and_back(obj, POD)) == without_zeros(obj)
