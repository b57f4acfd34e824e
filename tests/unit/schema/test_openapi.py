"""OpenAPI documents: complete references, and what kubectl looks for in them."""

import re
from typing import Any

import msgspec

from minikube.schema import openapi
from minikube.schema.openapi import Served, Subresource

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
POD = Served(
    group="",
    version="v1",
    kind="Pod",
    plural="pods",
    namespaced=True,
    verbs=VERBS,
    definition="io.k8s.api.core.v1.Pod",
    subresources=(
        Subresource(name="status", verbs=("get", "patch", "update")),
        Subresource(
            name="eviction",
            verbs=("create",),
            group="policy",
            version="v1",
            kind="Eviction",
            definition="io.k8s.api.policy.v1.Eviction",
        ),
    ),
)
WIDGET = Served(
    group="example.com",
    version="v1",
    kind="Widget",
    plural="widgets",
    namespaced=False,
    verbs=VERBS,
    schema={"type": "object", "properties": {"spec": {"type": "object", "nullable": True}}},
)


def references(document: Any) -> set[str]:
    return set(re.findall(r'"\$ref":"([^"]+)"', msgspec.json.encode(document).decode()))


def test_every_reference_leads_to_a_definition_of_the_same_document() -> None:
    two = openapi.v2([POD, WIDGET])
    three = openapi.v3("", "v1", [POD, WIDGET])
    assert references(two) <= {f"#/definitions/{name}" for name in two["definitions"]}
    assert references(three) <= {f"#/components/schemas/{name}" for name in three["components"]["schemas"]}


def test_a_patch_operation_tells_kubectl_its_kind_its_types_and_that_fields_can_be_validated() -> None:
    document = openapi.v3("", "v1", [POD])
    patch = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    assert patch["operationId"] == "patchCoreV1NamespacedPod"
    assert "fieldValidation" in [one["name"] for one in patch["parameters"]]
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]


def test_a_subresource_speaks_its_own_kind() -> None:
    document = openapi.v3("", "v1", [POD])
    create = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/eviction"]["post"]
    assert create["x-kubernetes-group-version-kind"]["kind"] == "Eviction"


def test_a_custom_resource_has_the_reversed_name_of_its_group_and_no_v3_words_in_v2() -> None:
    found = openapi.v2([WIDGET])["definitions"]["com.example.v1.Widget"]
    assert found["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Widget"}]
    assert found["properties"]["spec"] == {}
    assert found["properties"]["metadata"]["$ref"].endswith("v1.ObjectMeta")


def test_the_index_names_each_group_version_once_and_its_hash_follows_the_schema() -> None:
    index = openapi.v3_index([POD, WIDGET])
    assert list(index["paths"]) == ["api/v1", "apis/example.com/v1"]
    other = msgspec.structs.replace(WIDGET, schema={"type": "object"})
    assert openapi.v3_index([POD, other])["paths"]["api/v1"] == index["paths"]["api/v1"]
    assert openapi.v3_index([POD, other]) != index
