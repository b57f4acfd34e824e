"""Cleaning: nulls, unknown fields, wrong types and canonical quantities."""

from typing import Any

import pytest

from minikube.schema.clean import WrongType, clean
from minikube.schema.structure import builtin, compile

POD = "io.k8s.api.core.v1.Pod"
DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"


def test_unknown_fields_are_pruned_and_named() -> None:
    pod: dict[str, Any] = {"spec": {"foo": 1, "containers": [{"name": "a", "bar": 2}]}}
    assert clean(pod, builtin(POD)) == ["spec.foo", "spec.containers[0].bar"]
    assert pod == {"spec": {"containers": [{"name": "a"}]}}


def test_nulls_of_built_in_fields_are_dropped_but_null_map_values_are_zero() -> None:
    pod: dict[str, Any] = {"metadata": {"creationTimestamp": None, "labels": {"a": None}}}
    assert clean(pod, builtin(POD)) == []
    assert pod == {"metadata": {"labels": {"a": ""}}}


@pytest.mark.parametrize(
    ("definition", "obj", "path", "message"),
    [
        (
            DEPLOYMENT,
            {"spec": {"replicas": "x"}},
            "spec.replicas",
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            POD,
            {"metadata": {"labels": {"a": 1}}},
            "metadata.labels.a",
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            POD,
            {"spec": {"containers": {}}},
            "spec.containers",
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            POD,
            {"spec": {"containers": [{"resources": {"limits": {"cpu": "abc"}}}]}},
            "spec.containers[0].resources.limits.cpu",
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
def test_a_wrong_type_is_refused_in_the_words_of_the_decoder(
    definition: str, obj: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(WrongType) as refused:
        clean(obj, builtin(definition))
    assert (refused.value.path, str(refused.value)) == (path, message)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0.5", "500m"), (0.5, "500m"), (1, "1"), ("1024Mi", "1Gi"), ("1500Mi", "1500Mi"), ("1000m", "1"),
        ("1e3", "1e3"), ("12E", "12E"), ("0.1Gi", "107374182400m"),
        ("100000", "100k"), ("0", "0"), ("1.5Gi", "1536Mi"),
    ],
)  # fmt: skip
def test_quantities_become_canonical(given: Any, kept: str) -> None:
    pod: dict[str, Any] = {"spec": {"overhead": {"x": given}}}
    clean(pod, builtin(POD))
    assert pod["spec"]["overhead"]["x"] == kept


def test_custom_resources_keep_what_their_schema_says() -> None:
    structure = compile(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "a": {"type": "string"},
                        "n": {"type": "string", "nullable": True},
                        "open": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                            "properties": {"closed": {"type": "object", "properties": {}}},
                        },
                    },
                }
            },
        }
    )
    spec: dict[str, Any] = {"a": None, "n": None, "b": 1, "open": {"x": 1, "closed": {"y": 2}}}
    obj: dict[str, Any] = {"kind": "A", "apiVersion": "b/v1", "metadata": {"name": "x", "nope": 1}, "spec": spec}
    assert clean(obj, structure) == ["metadata.nope", "spec.b", "spec.open.closed.y"]
    assert spec == {"n": None, "open": {"x": 1, "closed": {}}}
