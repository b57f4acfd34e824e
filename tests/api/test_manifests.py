"""Well-known manifests, written out from their projects' documentation, are applied without a warning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.api.conftest import Cluster

HERE = Path(__file__).parent / "manifests"
DEFINITIONS = HERE / "crds"
SAMPLES = HERE / "samples" / "of-crds.yaml"


def applied(cluster: Cluster, path: Path, *flags: str) -> str:
    """Standard output of kubectl apply; fails the test when anything is warned of."""
    done = cluster.run("apply", "-f", str(path), *flags)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def wanted_state(cluster: Cluster, path: Path) -> list[object]:
    """The objects of a manifest without what controllers write meanwhile."""
    found = json.loads(cluster.kubectl("get", "-f", str(path), "-o", "json"))
    for one in found.get("items", [found]):
        one.pop("status", None)
        for field in ("resourceVersion", "managedFields"):
            one["metadata"].pop(field, None)
        one["metadata"]["annotations"] = {
            name: value for name, value in one["metadata"]["annotations"].items() if "kubernetes.io/" not in name
        }
    return found.get("items", [found])


def test_manifests_are_applied_twice_and_by_the_server_without_a_warning(cluster: Cluster):
    applied(cluster, HERE, "--validate=strict")
    try:
        before = wanted_state(cluster, HERE)
        applied(cluster, HERE)
        assert wanted_state(cluster, HERE) == before
        assert "serverside-applied" in applied(cluster, HERE, "--server-side", "--force-conflicts")
        differing = cluster.run("diff", "-f", str(HERE))
        assert (differing.returncode, differing.stdout) == (0, "")
    finally:
        cluster.run("delete", "-f", str(HERE), "--wait=false")


@pytest.fixture(scope="module")
def defined(shared: Cluster) -> Iterator[Cluster]:
    applied(shared, DEFINITIONS, "--validate=strict")
    yield shared
    shared.run("delete", "-f", str(DEFINITIONS), "--wait=false")


def test_custom_resources_of_well_known_operators_are_taken(defined: Cluster, cluster: Cluster):
    applied(cluster, SAMPLES, "--validate=strict")
    before = wanted_state(cluster, SAMPLES)
    applied(cluster, SAMPLES)
    assert wanted_state(cluster, SAMPLES) == before
    assert "serverside-applied" in applied(cluster, SAMPLES, "--server-side", "--force-conflicts")
    for sample in yaml.safe_load_all(SAMPLES.read_text()):
        kind, name = sample["kind"], sample["metadata"]["name"]
        stored = json.loads(cluster.kubectl("get", kind, name, "-o", "json"))
        assert contains(stored["spec"], sample["spec"])
    route = json.loads(
        cluster.kubectl("get", "httproutes.v1beta1.gateway.networking.k8s.io", "http-app", "-o", "json")
    )
    assert route["spec"]["parentRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "my-gateway"}
    ]
    assert route["spec"]["rules"][0]["backendRefs"][0]["weight"] == 1
    cluster.kubectl("scale", "memcached/memcached-sample", "--replicas=4")
    assert cluster.kubectl("get", "memcached", "memcached-sample", "-o", "jsonpath={.spec.size}") == "4"
    assert "should be less than or equal to 5" in cluster.refused(
        "scale", "memcached/memcached-sample", "--replicas=9"
    )
    cluster.kubectl("patch", "application", "guestbook", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    cluster.kubectl("delete", "-f", str(SAMPLES))


def contains(found: object, wanted: object) -> bool:
    """Whether everything that was wanted is there, defaults aside."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(contains(found.get(name), sub) for name, sub in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(contains, found, wanted))
    return found == wanted
