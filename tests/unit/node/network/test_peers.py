"""Where a node's pods are reached from another one, with and without NAT between."""

from __future__ import annotations

import pytest

from minikube.api.core_v1 import Node, NodeAddress, NodeSpec, NodeStatus
from minikube.api.meta import ObjectMeta
from minikube.node.network.base import Peer
from minikube.node.network.peers import SEEN_FROM, advice, is_own, outside, peers


def node(name: str, internal: str, external: str = "", nat: str = "") -> Node:
    """Its range of pods has the last byte of its internal address."""
    addresses = [NodeAddress(type="InternalIP", address=internal)]
    if external:
        addresses.append(NodeAddress(type="ExternalIP", address=external))
    meta = ObjectMeta(name=name, annotations={SEEN_FROM: nat} if nat else {})
    cidr = f"10.42.{internal.rpartition('.')[2]}.0/24"
    return Node(metadata=meta, spec=NodeSpec(pod_cidr=cidr), status=NodeStatus(addresses=tuple(addresses)))


OPEN, OTHER = node("open", "172.16.0.1", "203.0.113.1"), node("other", "172.16.0.2", "203.0.113.2")
HIDDEN = node("hidden", "192.168.0.3", "203.0.113.9", nat="203.0.113.9")
NEIGHBOUR = node("neighbour", "192.168.0.4", nat="203.0.113.9")
ELSEWHERE = node("elsewhere", "192.168.0.5", nat="198.51.100.7")
EVERY = (OPEN, OTHER, HIDDEN, NEIGHBOUR, ELSEWHERE)


@pytest.mark.parametrize(
    ("own", "reached"),
    [
        ("open", ["172.16.0.2", "203.0.113.9", "192.168.0.4", "192.168.0.5"]),
        ("hidden", ["203.0.113.1", "203.0.113.2", "192.168.0.4", "192.168.0.5"]),
        ("elsewhere", ["203.0.113.1", "203.0.113.2", "203.0.113.9", "192.168.0.4"]),
    ],
)
def test_on_the_same_side_the_internal_address_counts_elsewhere_the_external_one(
    own: str, reached: list[str]
) -> None:
    assert [each.address for each in peers(EVERY, own)] == reached


def test_who_has_no_address_or_range_yet_is_no_peer() -> None:
    fresh = Node(metadata=ObjectMeta(name="fresh"))
    six = node("six", "fd00::1.1")
    assert peers((OPEN, fresh, six), "other") == [Peer("open", "172.16.0.1", "10.42.1.0/24")]


def test_what_to_do_is_told_as_long_as_there_is_something() -> None:
    assert "--node-external-ip" in advice("203.0.113.9", "")
    assert advice("203.0.113.9", "203.0.113.9") == advice("", "") == ""


def test_behind_nat_is_who_no_server_sees_at_an_own_address() -> None:
    assert outside({"a": "203.0.113.9", "b": ""}) == "203.0.113.9"
    assert outside({"relay": "203.0.113.9", "direct": "127.0.0.1"}) == outside({}) == outside({"a": ""}) == ""


def test_an_address_is_own_when_the_machine_has_it() -> None:
    assert is_own("127.0.0.1")
    assert not is_own("203.0.113.9")
    assert not is_own("nonsense")
