"""What the suite asks since 1.32 of kinds that have a file of their own here: prefixes of variables, endpoint slices by
hand, tokens, image volumes, the order in which a namespace goes, selectable fields."""

from __future__ import annotations

import pytest

from tests.conformance.rows import row
from tests.conformance.space import AGNHOST, Obj, Space, agnhost, pod
from tests.conformance.traffic import client, reached, service

pytestmark = pytest.mark.conformance


@pytest.mark.parametrize(
    ("kind", "reference", "data"),
    [
        pytest.param(
            "ConfigMap",
            "configMapRef",
            {"data_1": "value-1", "data_2": "value-2"},
            marks=row("ConfigMap should be consumable as environment variable names with various prefixes"),
        ),
        pytest.param(
            "Secret",
            "secretRef",
            {"data_1": "dmFsdWUtMQ==", "data_2": "dmFsdWUtMg=="},
            marks=row(
                "Secrets should be consumable as environment variable names variable names with various prefixes"
            ),
        ),
    ],
)
def test_variables_with_any_prefix(space: Space, kind: str, reference: str, data: dict[str, str]):
    space.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": "source"}, "data": data})
    prefixes = ("", "p-", "1-", "$_-", "K8S_", "#", "!@")
    asking = pod("asking", "env")
    asking["spec"]["containers"][0]["envFrom"] = [
        {"prefix": each, reference: {"name": "source"}} if each else {reference: {"name": "source"}}
        for each in prefixes
    ]
    lines = space.output(asking).splitlines()
    for each in prefixes:
        assert f"{each}data_1=value-1" in lines
        assert f"{each}data_2=value-2" in lines


@row("ConfigMap should update ConfigMap successfully")
def test_a_config_map_is_put(space: Space):
    made = space.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}})
    made["data"] = {"data": "value"}
    space.update(made)
    assert space.get("v1/ConfigMap", "c")["data"] == {"data": "value"}


@row("Downward API should provide hostIPs as an env var")
def test_a_pod_learns_all_addresses_of_its_node(space: Space):
    asking = pod("asking", "env")
    asking["spec"]["containers"][0]["env"] = [
        {"name": "HOST_IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIPs"}}}
    ]
    lines = space.output(asking).splitlines()
    found = space.get("v1/Pod", "asking")
    assert f"HOST_IPS={space.site.nodes[found['spec']['nodeName']]}" in lines
    assert found["status"]["hostIPs"] == [{"ip": space.site.nodes[found["spec"]["nodeName"]]}]


@row("ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview")
def test_a_token_that_was_asked_for_is_known(space: Space):
    space.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mine"}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    token = space.ask("POST", "v1/ServiceAccount", "mine", request, sub="token").ok(201)["status"]["token"]
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = space.http.post("/apis/authentication.k8s.io/v1/tokenreviews", review).ok(201)["status"]
    assert (status["authenticated"], status.get("error", "")) == (True, "")
    assert status["user"]["username"] == f"system:serviceaccount:{space.name}:mine"


def by_hand(name: str, addresses: list[str], port: int) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/service-name": "by-hand",
                "endpointslice.kubernetes.io/managed-by": "e2e-test.k8s.io",
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": addresses}],
        "ports": [{"name": f"port{port}", "port": port, "protocol": "TCP"}],
    }


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param(
            ("one", "one"),
            marks=row(
                "EndpointSlice should support a Service with multiple ports specified in multiple EndpointSlices"
            ),
        ),
        pytest.param(
            ("one", "two"),
            marks=row(
                "EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices"
            ),
        ),
    ],
)
def test_endpoint_slices_by_hand(space: Space, pods: tuple[str, str]):
    """A service without a selector leads where its slices say, each for a port of its own."""
    addresses = {}
    for name in sorted(set(pods)):
        made = agnhost(name, "netexec", "--http-port=8090", "--udp-port=-1")
        second = {**made["spec"]["containers"][0], "name": "second"}
        second["command"] = ["python3", "/agnhost.py", "netexec", "--http-port=9090", "--udp-port=-1"]
        for container, port in ((made["spec"]["containers"][0], 8090), (second, 9090)):
            container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
        made["spec"]["containers"].append(second)
        addresses[name] = space.run(made)["status"]["podIP"]
    ports = [
        {"name": f"port{target}", "port": number, "protocol": "TCP"} for number, target in ((80, 8090), (81, 9090))
    ]
    space.create(service("by-hand", None, *ports))
    for name, port in zip(pods, (8090, 9090), strict=True):
        space.create(by_hand(f"by-hand-{port}", [addresses[name]], port))
    caller = client(space)
    for name, port in zip(pods, (80, 81), strict=True):
        space.wait(lambda name=name, port=port: reached(space, caller, "by-hand", port) == {name})


@row("ImageVolume should succeed with pod and pull policy of Always")
def test_a_volume_of_an_image(space: Space):
    """Upstream pulls it; here it is on the node, so that the policy is another."""
    made = pod("reader", "cat", "/volume/agnhost.py")
    made["spec"]["volumes"] = [{"name": "v", "image": {"reference": AGNHOST, "pullPolicy": "IfNotPresent"}}]
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/volume"}]
    assert "class NetExec" in space.output(made)


@row("OrderedNamespaceDeletion namespace deletion should delete pod first")
def test_pods_go_before_the_rest_of_their_namespace(space: Space):
    other = space.another()
    other.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other.name}})
    other.wait(lambda: other.ask("GET", "v1/ServiceAccount", "default").code == 200)
    made = pod("held")
    made["metadata"]["finalizers"] = ["e2e.example.com/finalizer"]
    other.run(made)
    other.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "behind"}})
    space.delete("v1/Namespace", other.name)

    def told() -> bool:
        found = space.get("v1/Namespace", other.name)["status"]["conditions"]
        return any(
            each["type"] == "NamespaceDeletionContentFailure" and each["status"] == "False" for each in found
        ) and any(
            each["type"] == "NamespaceContentRemaining" and each["status"] == "True" and "pods." in each["message"]
            for each in found
        )

    other.wait(lambda: "deletionTimestamp" in other.get("v1/Pod", "held")["metadata"])
    space.wait(told)
    space.stays(lambda: not other.gone("v1/ConfigMap", "behind"), 2)
    other.patch("v1/Pod", "held", {"metadata": {"finalizers": None}})
    space.wait(lambda: space.gone("v1/Namespace", other.name))


SELECTABLE = [{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.size"}]


@row(
    "CustomResourceFieldSelectors CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector"
)
def test_fields_of_custom_resources_select(space: Space):
    group = f"{space.name}.example.com"
    spec = {"type": "object", "properties": {"color": {"type": "string"}, "size": {"type": "string"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema, "selectableFields": SELECTABLE}
    space.create(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"shirts.{group}"},
            "spec": {
                "group": group,
                "names": {"plural": "shirts", "singular": "shirt", "kind": "Shirt", "listKind": "ShirtList"},
                "scope": "Namespaced",
                "versions": [version, {**version, "name": "v2", "storage": False}],
            },
        }
    )
    space.wait(lambda: space.http.get(f"/apis/{group}/v2").code == 200)
    kinds = [f"{group}/v1/Shirt", f"{group}/v2/Shirt"]
    since = space.wait(lambda: space.version(kinds[0]))
    for name, color, size in (("a", "blue", "S"), ("b", "blue", "M"), ("c", "green", "M")):
        space.create(
            {
                "apiVersion": f"{group}/v1",
                "kind": "Shirt",
                "metadata": {"name": name},
                "spec": {"color": color, "size": size},
            }
        )
    for kind in kinds:
        for select, names in (
            ("spec.color=blue", "ab"),
            ("spec.color=blue,spec.size=M", "b"),
            ("spec.size!=M", "a"),
        ):
            assert [each["metadata"]["name"] for each in space.list(kind, fieldSelector=select)] == list(names)
    space.patch(kinds[1], "a", {"spec": {"color": "green"}})
    space.delete(kinds[0], "b")
    for kind in kinds:
        path = space.path(kind, watch=1, resourceVersion=since, fieldSelector="spec.color=blue", timeoutSeconds=1)
        seen = [(each["type"], each["object"]["metadata"]["name"]) for each in space.http.events(path)]
        assert seen == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a"), ("DELETED", "b")]
    assert space.ask("GET", kinds[0], query={"fieldSelector": "spec.other=x"}).code == 400
    space.delete("apiextensions.k8s.io/v1/CustomResourceDefinition", f"shirts.{group}")
