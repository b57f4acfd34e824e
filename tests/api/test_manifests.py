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
MORE_SAMPLES = HERE / "samples" / "of-more-crds.yaml"


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


def taken(cluster: Cluster, samples: Path) -> None:
    """Applied twice and by the server, without a change or a warning."""
    applied(cluster, samples, "--validate=strict")
    before = wanted_state(cluster, samples)
    applied(cluster, samples)
    assert wanted_state(cluster, samples) == before
    assert "serverside-applied" in applied(cluster, samples, "--server-side", "--force-conflicts")
    differing = cluster.run("diff", "-f", str(samples))
    assert (differing.returncode, differing.stdout) == (0, "")
    for sample in yaml.safe_load_all(samples.read_text()):
        kind = f"{sample['kind']}.{sample['apiVersion'].partition('/')[2]}.{sample['apiVersion'].partition('/')[0]}"
        stored = json.loads(cluster.kubectl("get", kind, sample["metadata"]["name"], "-o", "json"))
        assert contains(stored["spec"], sample["spec"])


def test_custom_resources_of_well_known_operators_are_taken(defined: Cluster, cluster: Cluster):
    taken(cluster, SAMPLES)
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


def test_custom_resources_of_more_operators_are_taken_and_shown(defined: Cluster, cluster: Cluster):
    taken(cluster, MORE_SAMPLES)
    try:
        shown = cluster.kubectl("get", "vs,gitrepo,knp,ipaddresspools,cpol,schedules.velero.io")
        for line in (
            '["reviews.prod.svc.cluster.local"]',
            "https://github.com/stefanprodan/podinfo",
            "dual-role   3",
            '["192.168.10.0/24","192.168.9.1-192.168.9.5"]',
            "require-labels   true        true",
            "daily            0 7 * * *",
        ):
            assert line in shown, shown
        cluster.kubectl(
            "scale", "rollout/rollouts-demo", "cluster.postgresql.cnpg.io/cluster-example", "--replicas=2"
        )
        assert cluster.kubectl("get", "cluster.postgresql.cnpg.io", "-o", "jsonpath={..spec.instances}") == "2"
        group = '{"spec":{"group":"other.example.org"}}'
        told = cluster.refused(
            "patch", "xrd", "xpostgresqlinstances.database.example.org", "--type=merge", "-p", group
        )
        assert "Value is immutable" in told
        patch = '{"spec":{"http":[{"fault":{"delay":{"fixedDelay":"5 s"}}}]}}'
        assert "spec.http[0].fault.delay.fixedDelay" in cluster.refused(
            "patch", "vs", "reviews-route", "--type=merge", "-p", patch
        )
        told = cluster.kubectl("explain", "vs.spec.http.fault.delay", "--api-version=networking.istio.io/v1")
        assert "fixedDelay" in told
        assert "FIELDS:" in cluster.kubectl("explain", "ksvc.spec.template.spec.containers", "--recursive")
        assert (
            "v1beta1 is deprecated, please use v1beta2" in cluster.run("get", "bgppeers.v1beta1.metallb.io").stderr
        )
    finally:
        cluster.kubectl("delete", "-f", str(MORE_SAMPLES))


def test_manifests_are_pruned_replaced_and_edited(cluster: Cluster, tmp_path: Path):
    redis = HERE / "redis.yaml"
    labelled = tmp_path / "labelled.yaml"
    parts = [part for part in yaml.safe_load_all(redis.read_text()) if part["kind"] in ("ConfigMap", "Service")]
    for part in parts:
        part["metadata"]["labels"] = {"part-of": "redis"}
    labelled.write_text(yaml.safe_dump_all(parts))
    kinds = ("--prune-allowlist=core/v1/ConfigMap", "--prune-allowlist=core/v1/Service")
    prune = ("apply", "--prune", "-l", "part-of=redis", *kinds, "-f", str(labelled))
    assert cluster.kubectl(*prune).count("created") == 3
    labelled.write_text(yaml.safe_dump_all(parts[:-1]))
    assert "service/redis-master pruned" in cluster.kubectl(*prune)
    parts[0]["data"] = {"ping.sh": "exit 1"}
    labelled.write_text(yaml.safe_dump_all(parts[:-1]))
    assert "configmap/redis-health-wild replaced" in cluster.kubectl("replace", "-f", str(labelled))
    assert "service/redis-headless replaced" in cluster.kubectl("replace", "--force", "-f", str(labelled))
    editor = ("edit", "configmap/redis-health-wild", "--windows-line-endings=false")
    done = cluster.run(*editor, variables={"KUBE_EDITOR": "sed -i s/exit.1/exit.2/"})
    assert "configmap/redis-health-wild edited" in done.stdout
    assert cluster.kubectl("get", "cm", "redis-health-wild", "-o", "jsonpath={.data.ping\\.sh}") == "exit.2"


def contains(found: object, wanted: object) -> bool:
    """Whether everything that was wanted is there, defaults aside."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(contains(found.get(name), sub) for name, sub in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(contains, found, wanted))
    return found == wanted
