"""What clients are told beside the answer: over HTTP, and as kubectl prints it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Cluster
from tests.api.raw import APPLY, STRATEGIC, Http

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
WIDGETS = "/apis/warn.example.com/v1beta1/widgets"
GRACE = (
    "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
    "treated as 1"
)
NO_MORE = {"deprecationWarning": "no more"}
ENDPOINTS = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }  # fmt: skip


def header(text: str) -> str:
    return "299 - " + json.dumps(text)


@pytest.fixture(scope="module")
def http(shared: Cluster) -> Http:
    return Http(shared.kubeconfig)


@pytest.fixture(scope="module")
def widgets(http: Http) -> Iterator[str]:
    """Custom resources whose version is deprecated."""
    version = {"served": True, "schema": {"openAPIV3Schema": {"type": "object"}}, "subresources": {"status": {}}}
    made = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.warn.example.com"},
        "spec": {
            "group": "warn.example.com", "scope": "Cluster", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {**version, "name": "v1beta1", "storage": False, "deprecated": True},
                {**version, "name": "v1alpha1", "storage": False, "deprecated": True, **NO_MORE},
                {**version, "name": "v1", "storage": True},
            ],
        },
    }  # fmt: skip
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    http.post(path, made).ok(201)
    yield "warn.example.com/v1beta1 Widget is deprecated; use warn.example.com/v1 Widget"
    http.delete(f"{path}/widgets.warn.example.com").ok()


def test_every_way_of_writing_tells(http: Http):
    created = http.post(DEPLOYMENTS, deployment("told", terminationGracePeriodSeconds=-1))
    created.ok(201)
    assert created.warnings == [header(GRACE)]
    path = f"{DEPLOYMENTS}/told"
    change = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": -2}}}}
    for patched in (http.patch(path, change), http.patch(path, change, STRATEGIC)):
        patched.ok()
    assert http.patch(path, {"metadata": {"labels": {"a": "b"}}}).warnings == []
    applied = http.patch(
        f"{path}?fieldManager=m&force=true", deployment("told", terminationGracePeriodSeconds=-3), APPLY
    )
    applied.ok()
    assert applied.warnings == [header(GRACE)]
    put = http.put(path, deployment("told", terminationGracePeriodSeconds=-4))
    put.ok()
    assert put.warnings == [header(GRACE)]
    scaled = http.patch(f"{path}/scale", {"spec": {"replicas": 0}})
    scaled.ok()
    assert scaled.warnings == []
    http.delete(path).ok()


def test_a_dry_run_tells_and_so_does_a_refusal_that_comes_later(http: Http):
    obj = deployment("dry", terminationGracePeriodSeconds=-1)
    assert http.post(f"{DEPLOYMENTS}?dryRun=All", obj).warnings == [header(GRACE)]
    http.post(DEPLOYMENTS, obj).ok(201)
    again = http.post(DEPLOYMENTS, obj)
    again.refused(409, "AlreadyExists")
    assert again.warnings == [header(GRACE)]
    http.delete(f"{DEPLOYMENTS}/dry").ok()


def test_kubectl_prints_them(cluster: Cluster):
    done = cluster.run("create", "-f", "-", stdin=json.dumps(deployment("k", terminationGracePeriodSeconds=-1)))
    assert (done.returncode, done.stderr.strip()) == (0, f"Warning: {GRACE}")
    done = cluster.run("get", "endpoints")
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, f"Warning: {ENDPOINTS}")


def test_requests_for_deprecated_kinds_tell_what_to_use_instead(http: Http, widgets: str):
    watch = http.get("/api/v1/namespaces/default/endpoints?watch=1&timeoutSeconds=1")
    assert (watch.code, watch.warnings) == (200, [header(ENDPOINTS)])
    assert http.get("/api/v1/componentstatuses").warnings == [header("v1 ComponentStatus is deprecated in v1.19+")]
    assert http.get(WIDGETS).warnings == [header(widgets)]
    assert http.get(WIDGETS.replace("v1beta1", "v1alpha1")).warnings == [header("no more")]
    assert http.get(WIDGETS.replace("v1beta1", "v1")).warnings == []


def test_new_finalizers_of_custom_resources_should_have_a_domain(http: Http, widgets: str):
    path = WIDGETS.replace("v1beta1", "v1")
    made = http.post(path, {"metadata": {"name": "w", "finalizers": ["b.example.com", "example.com/fine"]}})
    made.ok(201)
    told = (
        'metadata.finalizers: "{}": prefer a domain-qualified finalizer name including a path (/) to avoid '
        "accidental conflicts with other finalizer writers"
    )
    assert made.warnings == [header(told.format("b.example.com"))]
    added = http.patch(f"{path}/w", {"metadata": {"finalizers": ["b.example.com", "a"]}})
    added.ok()
    assert added.warnings == [header(told.format("a"))]
    assert http.patch(f"{path}/w", {"metadata": {"finalizers": None}}).warnings == []


def test_owners_that_are_named_twice_stay_once(http: Http):
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "n", "uid": "u"}
    made = http.post(
        "/api/v1/namespaces/default/configmaps?dryRun=All",
        {"metadata": {"name": "c", "ownerReferences": [owner, owner]}},
    )
    assert made.ok(201)["metadata"]["ownerReferences"] == [owner]
    assert made.warnings == [
        header(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, "
            "and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: u"
        )
    ]


def test_a_status_tells_of_addresses(http: Http):
    path = "/api/v1/namespaces/default/services"
    http.post(path, {"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}).ok(201)
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "FD00::1"}]}}}
    said = http.patch(f"{path}/s/status?dryRun=All", status)
    said.ok()
    assert said.warnings == [
        header(
            'status.loadBalancer.ingress[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format '
            '("fd00::1")'
        )
    ]
    http.delete(f"{path}/s").ok()
