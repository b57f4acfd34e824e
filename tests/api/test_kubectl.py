"""What a person does with kubectl, done with the real kubectl."""

import json
import subprocess

from tests.api.conftest import KUBECTL, Cluster


def test_the_node_is_ready(cluster: Cluster) -> None:
    cluster.wait(lambda: " Ready " in cluster.kubectl("get", "nodes"))
    assert "simulated://" in cluster.kubectl("get", "nodes", "-o", "wide")


def test_a_config_map_is_created_read_labelled_selected_and_deleted(cluster: Cluster) -> None:
    cluster.kubectl("create", "configmap", "a", "--from-literal=x=y")
    assert json.loads(cluster.kubectl("get", "cm", "a", "-o", "json"))["data"] == {"x": "y"}
    cluster.kubectl("label", "cm", "a", "tier=web")
    assert "configmap/a" in cluster.kubectl("get", "cm", "-l", "tier in (web,db)", "-o", "name")
    assert "a" not in cluster.kubectl("get", "cm", "-l", "tier!=web", "-o", "name").replace(
        "configmap/kube-root-ca.crt", ""
    )
    cluster.kubectl("delete", "cm", "a")
    assert 'configmaps "a" not found' in cluster.refused("get", "cm", "a")


def test_creating_what_exists_is_refused(cluster: Cluster) -> None:
    cluster.kubectl("create", "configmap", "a")
    assert 'configmaps "a" already exists' in cluster.refused("create", "configmap", "a")


def test_a_deployment_rolls_out_updates_scales_and_rolls_back(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=3")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    cluster.kubectl("set", "image", "deployment/web", "web=web:2")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    images = "jsonpath={.items[*].spec.containers[0].image}"
    cluster.wait(lambda: cluster.kubectl("get", "pods", "-o", images).split() == ["web:2"] * 3)
    cluster.kubectl("rollout", "undo", "deployment/web")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    cluster.wait(lambda: cluster.kubectl("get", "pods", "-o", images).split() == ["web:1"] * 3)
    cluster.kubectl("scale", "deployment/web", "--replicas=5")
    cluster.wait(lambda: len(cluster.kubectl("get", "pods", "-o", "name").split()) == 5)
    assert "ScalingReplicaSet" in cluster.kubectl("get", "events")


def test_a_scale_is_shown_in_columns_of_its_own(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    heading, row = cluster.kubectl("get", "deployment", "web", "--subresource=scale").splitlines()
    assert heading.split() == ["NAME", "DESIRED", "AVAILABLE", "AGE"]
    assert row.split()[:3] == ["web", "2", "2"]


def test_deleting_a_deployment_takes_its_pods_with_it(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    cluster.kubectl("delete", "deployment", "web")
    cluster.wait(lambda: not cluster.kubectl("get", "pods,replicasets", "-o", "name"))


def test_a_service_gets_an_address_and_leads_to_the_ready_pods(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
    cluster.kubectl("expose", "deployment", "web", "--port=80")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    service = json.loads(cluster.kubectl("get", "service", "web", "-o", "json"))
    assert service["spec"]["clusterIP"].startswith("10.43.")

    def addresses() -> set[str]:
        slices = json.loads(cluster.kubectl("get", "endpointslices", "-o", "json"))["items"]
        return {a for s in slices for e in s.get("endpoints") or () for a in e["addresses"]}

    pods = set(cluster.kubectl("get", "pods", "-o", "jsonpath={.items[*].status.podIP}").split())
    cluster.wait(lambda: addresses() == pods)


def test_an_unknown_field_is_named(cluster: Cluster) -> None:
    manifest = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, imag: x}]}}"
    assert 'unknown field "spec.containers[0].imag"' in cluster.refused("apply", "-f", "-", stdin=manifest)


def test_apply_creates_changes_and_says_unchanged(cluster: Cluster) -> None:
    manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: '%s'}}"
    assert "created" in cluster.kubectl("apply", "-f", "-", stdin=manifest % 1)
    assert "configured" in cluster.kubectl("apply", "-f", "-", stdin=manifest % 2)
    assert "unchanged" in cluster.kubectl("apply", "-f", "-", stdin=manifest % 2)


def test_every_kind_can_be_listed_and_explained(cluster: Cluster) -> None:
    listed = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    assert len(listed) > 50
    for name in listed:
        cluster.kubectl("get", name, "-A")
    for name in ("pods", "deployments", "services", "ingresses"):
        assert "FIELDS:" in cluster.kubectl("explain", name, "--recursive")


def test_a_pod_that_fits_nowhere_says_why(cluster: Cluster) -> None:
    manifest = """
    apiVersion: v1
    kind: Pod
    metadata: {name: big}
    spec:
      containers:
      - {name: c, image: "x:1", resources: {requests: {cpu: "1000"}}}
    """
    cluster.kubectl("apply", "-f", "-", stdin=manifest)
    cluster.wait(lambda: "FailedScheduling" in cluster.kubectl("get", "events"))
    assert "0/1 nodes are available: 1 Insufficient cpu." in cluster.kubectl("get", "events")


def test_a_namespace_takes_everything_in_it_along(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", "gone")
    cluster.kubectl("-n", "gone", "create", "configmap", "a")
    cluster.kubectl("delete", "namespace", "gone", "--timeout=20s")
    assert "not found" in cluster.refused("get", "namespace", "gone")
    assert "not found" in cluster.refused("-n", "gone", "create", "configmap", "b")


def test_a_stranger_is_refused(cluster: Cluster) -> None:
    token = cluster.kubectl("create", "token", "default").strip()
    namespace = cluster.kubectl("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    server = f"https://127.0.0.1:{cluster.port}"
    stranger = ("--kubeconfig=/dev/null", f"--server={server}", "--insecure-skip-tls-verify", f"--token={token}")
    told = cluster.refused(*stranger, "-n", namespace, "get", "pods")
    user = f"system:serviceaccount:{namespace}:default"
    assert f'User "{user}" cannot list resource "pods" in API group "" in the namespace "{namespace}"' in told


def test_server_side_apply_knows_who_owns_a_field(cluster: Cluster) -> None:
    manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: s}, data: {a: '%s'}}"
    apply = ("apply", "--server-side", "-f", "-")
    cluster.kubectl(*apply, "--field-manager=one", stdin=manifest % 1)
    told = cluster.refused(*apply, "--field-manager=two", stdin=manifest % 2)
    assert 'conflict with "one"' in told
    assert ".data.a" in told
    cluster.kubectl(*apply, "--field-manager=two", "--force-conflicts", stdin=manifest % 2)
    assert cluster.kubectl("get", "cm", "s", "-o", "jsonpath={.data.a}") == "2"
    cluster.kubectl(*apply, "--field-manager=two", stdin="{apiVersion: v1, kind: ConfigMap, metadata: {name: s}}")
    assert cluster.kubectl("get", "cm", "s", "-o", "jsonpath={.data}") == ""


def test_controllers_show_in_managed_fields_as_the_programs_they_are_elsewhere(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=web:1")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    found = json.loads(cluster.kubectl("get", "deployments,pods", "-o", "json", "--show-managed-fields"))["items"]
    managers = {
        (one["kind"], entry["manager"], entry.get("subresource", ""))
        for one in found
        for entry in one["metadata"]["managedFields"]
    }
    assert managers == {
        ("Deployment", "kubectl-create", ""),
        ("Deployment", "kube-controller-manager", "status"),
        ("Pod", "kube-controller-manager", ""),
        ("Pod", "kubelet", "status"),
    }


def test_get_watch_prints_one_heading_and_a_row_for_every_change(cluster: Cluster) -> None:
    cluster.kubectl("create", "configmap", "watched", "--from-literal=a=b")
    assert KUBECTL is not None
    command = [KUBECTL, "--kubeconfig", str(cluster.kubeconfig), "get", "configmap", "watched", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert [watching.stdout.readline().split()[:2] for _ in range(2)] == [["NAME", "DATA"], ["watched", "1"]]
        for number in ("2", "3"):
            cluster.kubectl("patch", "configmap", "watched", "-p", json.dumps({"data": {f"c{number}": "d"}}))
            assert watching.stdout.readline().split()[:2] == ["watched", number]
        watching.terminate()
