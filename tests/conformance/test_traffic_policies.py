"""What upstream's tests of Services check beside the conformance rows: policies, pods that end, labels, node ports."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.conformance.space import Obj, Space, agnhost, pod, ready
from tests.conformance.traffic import (
    client,
    dial,
    endpoints,
    failure,
    http,
    outside,
    reached,
    servers,
    service,
    udp,
)

pytestmark = pytest.mark.conformance

WEB = {"app": "web"}


def nodes(space: Space) -> list[str]:
    return list(space.site.nodes)


def addresses(space: Space) -> list[str]:
    return list(space.site.nodes.values())


def callers(space: Space) -> tuple[str, str]:
    """A client on either node."""
    here, there = nodes(space)
    return client(space, "here", nodeName=here), client(space, "there", nodeName=there)


def node_port(made: Obj) -> int:
    return int(made["spec"]["ports"][0]["nodePort"])


def test_an_internal_local_service_answers_only_on_its_node(space: Space):
    made = space.create(service("web", WEB, internalTrafficPolicy="Local"))
    servers(space, "pod1", nodeName=nodes(space)[0])
    here, there = callers(space)
    address = made["spec"]["clusterIP"]
    space.wait(lambda: dial(space, here, address, 80) == ["pod1"])
    space.wait(lambda: "timed out" in failure(space, there, address, 80))
    space.delete("v1/Pod", "pod1")
    space.wait(lambda: "refused" in failure(space, there, address, 80))


def test_an_external_local_service_answers_only_on_its_node_and_sees_who_asks(space: Space):
    here, there = addresses(space)
    made = space.create(service("web", WEB, type="NodePort", externalTrafficPolicy="Local"))
    port = node_port(made)
    servers(space, "pod1", nodeName=nodes(space)[0])
    space.wait(lambda: outside(here, port) == "pod1")
    assert outside(here, port, "/clientip").startswith(f"{space.site.outside}:")
    with pytest.raises(LookupError, match="timed out"):
        outside(there, port)
    found = space.get("v1/Service", "web")
    found["spec"]["externalTrafficPolicy"] = "Cluster"
    space.update(found)
    space.wait(lambda: outside(there, port) == "pod1")
    assert not outside(there, port, "/clientip").startswith(f"{space.site.outside}:")


def checked(address: str, port: int) -> int:
    """The status that a load balancer gets of a health check."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/healthz", timeout=2) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        raise LookupError(str(error)) from error


def test_health_checks_tell_where_pods_are_ready(space: Space):
    here, there = addresses(space)
    made = space.create(service("web", WEB, type="LoadBalancer", externalTrafficPolicy="Local"))
    port = made["spec"]["healthCheckNodePort"]
    lingering(space, "pod1", nodes(space)[0])
    space.wait(lambda: (checked(here, port), checked(there, port)) == (200, 503))
    space.delete("v1/Pod", "pod1")
    space.wait(lambda: checked(here, port) == 503)
    assert outside(here, node_port(made)) == "pod1"
    found = space.get("v1/Service", "web")
    found["spec"] |= {"type": "ClusterIP"}
    found = space.update(found)
    assert not {"healthCheckNodePort", "externalTrafficPolicy"} & found["spec"].keys()

    def closed() -> bool:
        try:
            checked(here, port)
        except LookupError:
            return True
        return False

    space.wait(closed)
    end(space, "pod1")


def lingering(space: Space, name: str, node: str) -> None:
    """A server that goes on after it is told to end."""
    spec: dict[str, Any] = {"nodeName": node, "terminationGracePeriodSeconds": 100}
    space.run(agnhost(name, "netexec", "--delay-shutdown", "100", labels=WEB, **spec))


def end(space: Space, name: str) -> None:
    """Now, whatever it said."""
    space.delete("v1/Pod", name, {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})


def test_pods_that_end_serve_where_no_other_does(space: Space):
    here, there = addresses(space)
    near, far = callers(space)
    cluster = space.create(service("cluster", WEB, type="NodePort"))
    local = space.create(
        service("local", WEB, type="NodePort", externalTrafficPolicy="Local", internalTrafficPolicy="Local")
    )
    lingering(space, "pod1", nodes(space)[0])
    space.wait(lambda: endpoints(space, "local") == {"pod1": [8080]})
    space.delete("v1/Pod", "pod1")
    space.wait(lambda: endpoints(space, "local") == {})
    for caller in (near, far):
        space.wait(lambda caller=caller: dial(space, caller, cluster["spec"]["clusterIP"], 80) == ["pod1"])
        space.wait(lambda caller=caller: dial(space, caller, here, node_port(cluster)) == ["pod1"])
        space.wait(lambda caller=caller: dial(space, caller, here, node_port(local)) == ["pod1"])
    assert dial(space, near, local["spec"]["clusterIP"], 80) == ["pod1"]
    assert "timed out" in failure(space, far, local["spec"]["clusterIP"], 80)
    assert "timed out" in failure(space, near, there, node_port(local))
    servers(space, "pod2", nodeName=nodes(space)[1])
    space.wait(lambda: reached(space, near, cluster["spec"]["clusterIP"], 80) == {"pod2"})
    assert dial(space, near, local["spec"]["clusterIP"], 80) == ["pod1"]
    assert dial(space, far, local["spec"]["clusterIP"], 80) == ["pod2"]
    end(space, "pod1")


def test_addresses_that_are_not_ready_are_published_if_asked(space: Space):
    made = agnhost("pod1", labels=WEB)
    made["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    space.create(made)
    space.create(service("web", WEB, publishNotReadyAddresses=True))
    space.create(service("strict", WEB))
    caller = client(space)
    space.wait(lambda: dial(space, caller, "web", 80) == ["pod1"])
    assert not ready(space.get("v1/Pod", "pod1"))
    assert "refused" in failure(space, caller, "strict", 80)
    assert endpoints(space, "strict") == {}


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_affinity_ends_with_its_time(space: Space, kind: str):
    config = {"clientIP": {"timeoutSeconds": 1}}
    made = space.create(service("web", WEB, type=kind, sessionAffinity="ClientIP", sessionAffinityConfig=config))
    servers(space, "pod1", "pod2", "pod3")
    caller = client(space)
    host, port = (addresses(space)[0], node_port(made)) if kind == "NodePort" else (made["spec"]["clusterIP"], 80)
    space.wait(lambda: len(dial(space, caller, host, port, tries=20)) == 20)
    assert len(set(dial(space, caller, host, port, tries=20))) == 1
    seen: set[str] = set()

    def another() -> bool:
        """Asked so rarely that the last time is forgotten."""
        space.stays(lambda: True, 1.2)
        seen.update(dial(space, caller, host, port))
        return len(seen) > 1

    space.wait(another)


def test_node_ports_follow_the_service(space: Space):
    made = space.create(service("web", WEB))
    servers(space, "pod1")
    address = addresses(space)[1]
    made["spec"]["type"] = "NodePort"
    made = space.update(made)
    first = node_port(made)
    space.wait(lambda: outside(address, first) == "pod1")
    made["spec"]["ports"][0] |= {"port": 81, "nodePort": 0}
    made = space.update(made)
    space.wait(lambda: outside(address, node_port(made)) == "pod1")
    made["spec"]["ports"] = [http(80, nodePort=node_port(made)), udp(80, nodePort=node_port(made))]
    made = space.update(made)
    assert {each["nodePort"] for each in made["spec"]["ports"]} == {node_port(made)}
    caller = client(space)
    space.wait(lambda: dial(space, caller, address, node_port(made), protocol="udp") == ["pod1"])
    made["spec"]["type"] = "ClusterIP"
    made = space.update(made)
    assert all("nodePort" not in each for each in made["spec"]["ports"])
    space.wait(lambda: dial(space, caller, made["spec"]["clusterIP"], 80) == ["pod1"])
    space.wait(lambda: "refused" in failure(space, caller, address, first))
    found = service("other", WEB, http(80, nodePort=first), type="NodePort")
    space.wait(lambda: space.ask("POST", "v1/Service", body=found).code == 201)


def test_a_pod_reaches_itself_and_is_seen_as_who_it_is(space: Space):
    made = space.create(service("web", WEB))
    address = made["spec"]["clusterIP"]
    (ip,) = servers(space, "pod1", nodeName=nodes(space)[0])
    space.wait(lambda: dial(space, "pod1", address, 80) == ["pod1"])
    for caller in callers(space):
        mine = space.get("v1/Pod", caller)["status"]["podIP"]
        (seen,) = space.wait(lambda caller=caller: dial(space, caller, address, 80, "clientip"))
        assert seen.startswith(f"{mine}:")
    assert ip


@pytest.mark.parametrize("label", ["service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name"])
def test_a_label_takes_a_service_from_the_proxy(space: Space, label: str):
    made = space.create(service("web", WEB))
    address = made["spec"]["clusterIP"]
    servers(space, "pod1")
    caller = client(space)
    space.wait(lambda: dial(space, caller, address, 80) == ["pod1"])
    space.patch("v1/Service", "web", {"metadata": {"labels": {label: "other"}}})
    space.wait(lambda: failure(space, caller, address, 80))
    space.patch("v1/Service", "web", {"metadata": {"labels": {label: None}}})
    space.wait(lambda: dial(space, caller, address, 80) == ["pod1"])


def test_a_service_without_endpoints_refuses(space: Space):
    made = space.create(service("web", WEB, type="NodePort"))
    caller = client(space)
    space.wait(lambda: "refused" in failure(space, caller, "web", 80))
    space.wait(lambda: "refused" in failure(space, caller, addresses(space)[0], node_port(made)))


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_addresses_of_nobody_lead_to_their_service(space: Space, policy: str):
    """External addresses, and those of a load balancer."""
    spec = {"type": "LoadBalancer", "externalIPs": ["203.0.113.250"], "externalTrafficPolicy": policy}
    space.create(service("web", WEB, http(), udp(), **spec))
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.251"}]}}
    space.patch("v1/Service", "web", {"status": status}, sub="status")
    servers(space, "pod1", nodeName=nodes(space)[0])
    for caller in callers(space):
        for address in ("203.0.113.250", "203.0.113.251"):
            space.wait(lambda a=address, c=caller: dial(space, c, a, 80) == ["pod1"])
            space.wait(lambda a=address, c=caller: dial(space, c, a, 80, protocol="udp") == ["pod1"])


def test_hand_written_slices_with_different_ports(space: Space):
    first, second = servers(space, "pod1", "pod2")
    space.create(service("web", None, http(80), http(81) | {"name": "other"}))
    for name, port, address in (("http", 8080, first), ("other", 8080, second)):
        labels = {"kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "e2e"}
        space.create(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": f"web-{name}", "labels": labels},
                "addressType": "IPv4",
                "ports": [{"name": name, "port": port, "protocol": "TCP"}],
                "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            }
        )
    caller = client(space)
    space.wait(lambda: reached(space, caller, "web", 80) == {"pod1"})
    space.wait(lambda: reached(space, caller, "web", 81) == {"pod2"})


def test_a_service_may_speak_sctp(space: Space):
    space.create(service("web", WEB, {"port": 5060, "protocol": "SCTP"}))
    made = pod("pod1")
    made["metadata"]["labels"] = WEB
    made["spec"]["containers"][0]["ports"] = [{"containerPort": 5060, "protocol": "SCTP"}]
    space.run(made)
    space.wait(lambda: endpoints(space, "web") == {"pod1": [5060]})
