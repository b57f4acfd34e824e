"""api-machinery/discovery, version, table: what a client learns of the server before it asks for anything."""

from __future__ import annotations

import pytest

from tests.conformance.definitions import defined, definition
from tests.conformance.rows import row
from tests.conformance.space import Space

pytestmark = pytest.mark.conformance
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
LEGACY = "application/json"
CLIENT = f"{AGGREGATED},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,{LEGACY}"
"""What client-go's discovery client accepts."""
BUILT_IN = """\
admissionregistration.k8s.io/v1 validatingwebhookconfigurations
apiextensions.k8s.io/v1 customresourcedefinitions
apiregistration.k8s.io/v1 apiservices
apps/v1 deployments
authentication.k8s.io/v1 tokenreviews
authorization.k8s.io/v1 selfsubjectaccessreviews
autoscaling/v1 horizontalpodautoscalers
autoscaling/v2 horizontalpodautoscalers
batch/v1 jobs
certificates.k8s.io/v1 certificatesigningrequests
coordination.k8s.io/v1 leases
discovery.k8s.io/v1 endpointslices
events.k8s.io/v1 events
networking.k8s.io/v1 ingresses
node.k8s.io/v1 runtimeclasses
policy/v1 poddisruptionbudgets
scheduling.k8s.io/v1 priorityclasses
storage.k8s.io/v1 csinodes
"""


def aggregated(space: Space, root: str, accept: str) -> set[str]:
    answer = space.http.get(root, accept=accept)
    assert answer.headers["Content-Type"] == AGGREGATED
    found = answer.ok()
    assert (found["kind"], found["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    return {
        f"{group['metadata'].get('name', '')}/{version['version']} {resource['resource']}"
        for group in found["items"]
        for version in group["versions"]
        for resource in version["resources"]
    }


@pytest.mark.parametrize(
    "accept",
    [
        pytest.param(
            AGGREGATED,
            marks=row("AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers"),
        ),
        pytest.param(CLIENT, marks=row("AggregatedDiscovery should support aggregated discovery interface")),
    ],
    ids=["raw", "client"],
)
def test_the_aggregated_document_lists_what_is_built_in(space: Space, accept: str):
    assert set(BUILT_IN.splitlines()) <= aggregated(space, "/apis", accept)
    assert {"/v1 namespaces", "/v1 pods"} <= aggregated(space, "/api", accept)


@pytest.mark.parametrize(
    "accept",
    [
        pytest.param(
            AGGREGATED, marks=row("AggregatedDiscovery should support raw aggregated discovery request for CRDs")
        ),
        pytest.param(
            CLIENT, marks=row("AggregatedDiscovery should support aggregated discovery interface for CRDs")
        ),
    ],
    ids=["raw", "client"],
)
def test_the_aggregated_document_lists_custom_resources(space: Space, accept: str):
    with defined(space, definition(space)) as group:
        assert f"{group}v1 foos" in aggregated(space, "/apis", accept)
    space.wait(lambda: f"{group}v1 foos" not in aggregated(space, "/apis", accept))


@row(
    "Discovery should validate PreferredVersion for each APIGroup",
    "Discovery should locate the groupVersion and a resource within each APIGroup",
)
def test_every_group_prefers_one_of_its_versions_and_each_lists_resources(space: Space):
    for group in space.http.get("/apis").ok()["groups"]:
        alone = space.http.get(f"/apis/{group['name']}")
        if alone.code == 404:
            continue  # a definition that another test took away meanwhile
        found = alone.ok()
        assert found["kind"] == "APIGroup"
        assert found["preferredVersion"] in found["versions"]
        assert (
            found["preferredVersion"]["groupVersion"] == f"{group['name']}/{found['preferredVersion']['version']}"
        )
        for version in found["versions"]:
            answer = space.http.get(f"/apis/{version['groupVersion']}")
            if answer.code == 404 and "example.com" in group["name"]:
                continue
            resources = answer.ok()
            assert resources["groupVersion"] == version["groupVersion"]
            assert resources["resources"]


@row("server version should find the server version")
def test_the_version_is_numbers(space: Space):
    found = space.http.get("/version").ok()
    assert found["major"].isdigit()
    assert found["minor"].isdigit()


@row(
    "Servers with support for Table transformation should return a 406 for a backend which does not implement metadata"
)
def test_a_review_is_no_table(space: Space):
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    }
    answer = space.http.post(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        review,
        accept="application/json;as=Table;v=v1;g=meta.k8s.io",
    )
    answer.refused(406, "NotAcceptable")
