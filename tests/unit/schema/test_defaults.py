"""Defaults of built-in kinds and of custom resources."""

from typing import Any

from minikube.schema.builtin_defaults import FIXED, RULES
from minikube.schema.defaults import apply_defaults
from minikube.schema.structure import builtin, compile, raw_definitions


def defaulted(definition: str, obj: dict[str, Any]) -> dict[str, Any]:
    apply_defaults(obj, builtin(f"io.k8s.api.{definition}"))
    return obj


def test_every_default_is_of_a_field_that_exists() -> None:
    for definition, fields in FIXED.items():
        assert definition in raw_definitions()
        assert set(fields) <= set(builtin(definition).properties), definition
    assert set(RULES) <= set(raw_definitions())


def test_a_service_is_filled_in() -> None:
    spec = defaulted("core.v1.Service", {"spec": {"ports": [{"port": 80}], "type": "NodePort"}})["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["sessionAffinity"], spec["externalTrafficPolicy"]) == ("None", "Cluster")


def test_the_pull_policy_follows_the_tag() -> None:
    images = {
        "a": "Always",
        "a:1": "IfNotPresent",
        "a:latest": "Always",
        "r:5000/a": "Always",
        "a@sha256:0": "IfNotPresent",
        "a:latest@sha256:0": "Always",
        "": "IfNotPresent",
    }
    containers = [{"name": str(index), "image": image} for index, image in enumerate(images)]
    pod = defaulted("core.v1.Pod", {"spec": {"containers": containers}})
    assert [one["imagePullPolicy"] for one in pod["spec"]["containers"]] == list(images.values())


def test_only_pods_get_requests_from_limits_templates_do_not() -> None:
    spec = {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}]}
    assert defaulted("core.v1.Pod", {"spec": spec})["spec"]["containers"][0]["resources"]["requests"] == {
        "cpu": "1"
    }
    template = {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}]}}
    deployment = defaulted("apps.v1.Deployment", {"spec": {"template": template}})
    assert "requests" not in deployment["spec"]["template"]["spec"]["containers"][0]["resources"]


def test_a_recreate_strategy_gets_no_rolling_update() -> None:
    spec = defaulted("apps.v1.Deployment", {"spec": {"strategy": {"type": "Recreate"}}})["spec"]
    assert spec["strategy"] == {"type": "Recreate"}


def test_a_zero_counts_as_unset_only_where_go_cannot_tell() -> None:
    pod = defaulted(
        "core.v1.Pod",
        {
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "a", "livenessProbe": {"periodSeconds": 0}}],
            }
        },
    )
    assert pod["spec"]["terminationGracePeriodSeconds"] == 0
    assert pod["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] == 10


def test_custom_defaults_fill_objects_that_are_there_and_defaults_are_defaulted_too() -> None:
    structure = compile(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "default": {"a": 1},
                    "properties": {
                        "a": {"type": "integer"},
                        "b": {"type": "string", "default": "x"},
                        "l": {
                            "type": "array",
                            "items": {"type": "object", "properties": {"c": {"type": "boolean", "default": False}}},
                        },
                        "m": {
                            "type": "object",
                            "additionalProperties": {
                                "type": "object",
                                "properties": {"d": {"type": "integer", "default": 0}},
                            },
                        },
                    },
                }
            },
        }
    )
    empty: dict[str, Any] = {}
    apply_defaults(empty, structure)
    assert empty == {"spec": {"a": 1, "b": "x"}}
    full: dict[str, Any] = {"spec": {"l": [{}], "m": {"k": {}}}}
    apply_defaults(full, structure)
    assert full == {"spec": {"b": "x", "l": [{"c": False}], "m": {"k": {"d": 0}}}}


def test_defaults_are_never_shared_between_objects() -> None:
    one, two = (defaulted("core.v1.Pod", {"spec": {}}) for _ in range(2))
    one["spec"]["securityContext"]["runAsUser"] = 1
    assert two["spec"]["securityContext"] == {}


def test_an_address_of_a_load_balancer_is_its_own() -> None:
    status = {
        "loadBalancer": {
            "ingress": [{"ip": "192.0.2.1"}, {"hostname": "a"}, {"ip": "192.0.2.2", "ipMode": "Proxy"}]
        }
    }
    filled = defaulted("core.v1.Service", {"spec": {"type": "LoadBalancer"}, "status": status})["status"]
    modes = [each.get("ipMode") for each in filled["loadBalancer"]["ingress"]]
    assert modes == ["VIP", None, "Proxy"]


def test_an_empty_slice_says_that_it_is_empty() -> None:
    slice = defaulted("discovery.v1.EndpointSlice", {"addressType": "IPv4"})
    assert (slice["endpoints"], slice["ports"]) == ([], [])


def test_an_image_volume_is_pulled_as_its_tag_says() -> None:
    volumes = [{"name": "a", "image": {"reference": "a:1"}}, {"name": "b", "image": {"reference": "b"}}]
    spec = defaulted("core.v1.Pod", {"spec": {"volumes": volumes}})["spec"]
    assert [one["image"]["pullPolicy"] for one in spec["volumes"]] == ["IfNotPresent", "Always"]


def test_amounts_are_whole_thousandths() -> None:
    resources = {"limits": {"cpu": "100u", "memory": "1Gi"}}
    pod = defaulted("core.v1.Pod", {"spec": {"containers": [{"name": "a", "resources": resources}]}})
    assert pod["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "1m", "memory": "1Gi"},
        "requests": {"cpu": "1m", "memory": "1Gi"},
    }


def test_what_a_node_has_can_be_had() -> None:
    assert defaulted("core.v1.Node", {"status": {"capacity": {"cpu": "1"}}})["status"]["allocatable"] == {
        "cpu": "1"
    }
    status = {"capacity": {"cpu": "2"}, "allocatable": {"cpu": "1"}}
    assert defaulted("core.v1.Node", {"status": status})["status"]["allocatable"] == {"cpu": "1"}


def test_ports_on_the_network_of_the_host_are_host_ports_of_pods_not_of_templates() -> None:
    spec = {"hostNetwork": True, "containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}
    template = defaulted("apps.v1.DaemonSet", {"spec": {"template": {"spec": spec}}})["spec"]["template"]
    assert template["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    pod = defaulted("core.v1.Pod", {"spec": template["spec"]})
    assert pod["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


def test_only_who_names_no_strategy_gets_a_partition() -> None:
    def strategy(given: dict[str, Any]) -> Any:
        return defaulted("apps.v1.StatefulSet", {"spec": given})["spec"]["updateStrategy"]

    assert strategy({}) == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert strategy({"updateStrategy": {"type": "RollingUpdate"}}) == {"type": "RollingUpdate"}
    assert strategy({"updateStrategy": {"rollingUpdate": {}}})["rollingUpdate"] == {"partition": 0}


def test_a_zero_count_of_devices_is_one() -> None:
    request = {"name": "r", "exactly": {"deviceClassName": "c", "count": 0}}
    claim = defaulted("resource.v1.ResourceClaim", {"spec": {"devices": {"requests": [request]}}})
    assert claim["spec"]["devices"]["requests"][0]["exactly"]["count"] == 1


def test_a_replica_set_has_no_labels_but_its_own() -> None:
    template = {"metadata": {"labels": {"a": "b"}}}
    assert "metadata" not in defaulted("apps.v1.ReplicaSet", {"spec": {"template": template}})
    controller = defaulted("core.v1.ReplicationController", {"spec": {"template": template}})
    assert controller["metadata"]["labels"] == controller["spec"]["selector"] == {"a": "b"}
