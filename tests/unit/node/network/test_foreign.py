"""Foreign firewalls: which chains stand in the pods' way, and what their owner could do."""

from __future__ import annotations

from minikube.node.network.foreign import Drop, drops

CIDR = "10.42.0.0/16"
DOCKER = """
table ip filter {
	chain DOCKER {
	}
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
		counter packets 0 bytes 0 jump DOCKER
	}
}
"""
FIREWALLD = """
table inet firewalld {
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		reject with icmpx admin-prohibited
	}
}
"""
OURS = """
table ip minikube {
	chain forward {
		type filter hook forward priority filter - 1; policy drop;
	}
}
"""


def test_a_dropping_forward_chain_is_found_with_its_fix() -> None:
    [found] = drops(DOCKER, CIDR)
    assert found == Drop("ip", "filter", "FORWARD", "forward")
    assert found.fix(CIDR) == f"iptables -I FORWARD -s {CIDR} -j ACCEPT && iptables -I FORWARD -d {CIDR} -j ACCEPT"


def test_a_final_reject_is_as_good_as_a_policy() -> None:
    [found] = drops(FIREWALLD, CIDR)
    assert found.hook == "input"
    assert found.fix(CIDR) == f"nft insert rule inet firewalld filter_INPUT ip saddr {CIDR} accept"


def test_a_chain_that_lets_pods_through_is_no_obstacle() -> None:
    let = DOCKER.replace(
        "counter packets 0 bytes 0 jump", f"ip saddr {CIDR} counter packets 1 bytes 2 accept\n\t\tjump"
    )
    assert drops(let, CIDR) == []


def test_our_own_table_and_accepting_chains_are_left_out() -> None:
    assert drops(OURS + DOCKER.replace("policy drop", "policy accept"), CIDR) == []
