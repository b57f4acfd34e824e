from msgspec.structs import replace

from minikube.node.network import ruleset
from minikube.node.network.base import Backend, ServicePort

CIDR = "10.42.0.0/16"


def port(name: str = "web", *backends: Backend, **more: object) -> ServicePort:
    return ServicePort("default", name, "http", "TCP", ("10.43.0.5",), 80, backends, **more)  # type: ignore[arg-type]


def test_equal_states_need_no_transaction() -> None:
    state = ruleset.build([port("web", Backend("10.42.0.2", 80))], CIDR)
    assert ruleset.difference(state, state) == ""


def test_a_service_without_endpoints_is_refused_and_not_dispatched() -> None:
    state = ruleset.build([port(node_port=30001)], CIDR)
    assert state.elements == {
        ("rejects", "10.43.0.5 . tcp . 80"): "goto refuse",
        ("nodeport_rejects", "tcp . 30001"): "goto refuse",
    }


def test_a_changed_endpoint_touches_only_its_pool() -> None:
    old = ruleset.build([port("web", Backend("10.42.0.2", 80))], CIDR)
    new = ruleset.build([port("web", Backend("10.42.0.3", 80))], CIDR)
    lines = ruleset.difference(old, new).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("flush chain")
    assert "10.42.0.3 . 80" in lines[1]


def test_a_local_policy_without_local_backends_drops() -> None:
    state = ruleset.build([port("web", Backend("10.42.1.2", 80), internal_local=True)], CIDR)
    assert ("drop",) in state.chains.values()


def test_a_state_is_named_alike_however_it_came_about() -> None:
    ports = [port("a", Backend("10.42.0.2", 80)), replace(port("b", Backend("10.42.0.3", 80)), port=81)]
    one, other = ruleset.build(ports, CIDR), ruleset.build(ports[::-1], CIDR)
    assert ruleset.digest(one, "frame") == ruleset.digest(other, "frame")
    assert ruleset.digest(one, "frame") != ruleset.digest(one, "another frame")
    assert ruleset.unpack(ruleset.pack(one)) == one


def test_a_host_port_of_one_address_leaves_the_others_alone() -> None:
    everywhere = ruleset.host_port("0.0.0.0", "10.42.0.2", "tcp", 80, 8080)
    here = ruleset.host_port("172.31.0.2", "10.42.0.3", "tcp", 80, 8080)
    assert set(ruleset.merge([everywhere, here]).elements) == {
        ("hostports", "tcp . 80"),
        ("hostports_at", "172.31.0.2 . tcp . 80"),
    }
