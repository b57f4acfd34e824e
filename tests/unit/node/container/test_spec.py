"""What a pod is called and how it resolves names."""

from __future__ import annotations

from pathlib import Path

import pytest

from minikube.api.core_v1 import PodDNSConfig, PodDNSConfigOption
from minikube.node.container.resolver import Resolver, own, resolver_of
from minikube.node.container.spec import expand, node_name_of, sandbox_spec
from minikube.node.pod.problems import ConfigProblem
from minikube.settings import Settings
from tests.unit.node.seen import pod

SETTINGS = Settings()
HOST = {"servers": ["1.1.1.1"], "searches": ["example.com"], "options": ["rotate"]}
CLUSTER = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com")


@pytest.mark.parametrize(
    ("policy", "host_network", "expected"),
    [
        ("ClusterFirst", False, Resolver(("10.43.0.10",), CLUSTER, ("ndots:5",))),
        ("ClusterFirst", True, Resolver(("1.1.1.1",), ("example.com",), ("rotate",))),
        ("ClusterFirstWithHostNet", True, Resolver(("10.43.0.10",), CLUSTER, ("ndots:5",))),
        ("Default", False, Resolver(("1.1.1.1",), ("example.com",), ("rotate",))),
        ("None", False, Resolver()),
    ],
)
def test_the_dns_policy_chooses_the_resolver(policy: str, host_network: bool, expected: Resolver) -> None:
    assert resolver_of(pod(dns_policy=policy, host_network=host_network), SETTINGS, HOST) == expected


def test_the_dns_config_adds_and_its_options_win() -> None:
    more = PodDNSConfig(
        nameservers=("9.9.9.9",),
        searches=("own.test",),
        options=(PodDNSConfigOption(name="ndots", value="2"), PodDNSConfigOption(name="edns0")),
    )
    found = resolver_of(pod(dns_config=more), SETTINGS, HOST)
    assert found == Resolver(("10.43.0.10", "9.9.9.9"), (*CLUSTER, "own.test"), ("ndots:2", "edns0"))


def test_at_most_three_servers_are_asked_and_the_others_told_of() -> None:
    more = PodDNSConfig(nameservers=("9.9.9.1", "9.9.9.2", "9.9.9.3"))
    found = resolver_of(pod(dns_config=more), SETTINGS, HOST)
    assert found.servers == ("10.43.0.10", "9.9.9.1", "9.9.9.2")
    assert found.problems == (
        "Nameserver limits were exceeded, some nameservers have been omitted, "
        "the applied nameserver line is: 10.43.0.10 9.9.9.1 9.9.9.2",
    )


def test_searches_that_a_resolver_does_not_take_are_left_out_and_told_of() -> None:
    more = PodDNSConfig(searches=("a" * 254, *(f"{number}.test" for number in range(40))))
    found = resolver_of(pod(dns_policy="None", dns_config=more), SETTINGS, HOST)
    assert found.searches == tuple(f"{number}.test" for number in range(31))
    assert found.problems[0].startswith("Search Line limits were exceeded, some search paths have been omitted, ")


def test_pods_are_not_sent_to_servers_that_only_the_host_reaches(tmp_path: Path) -> None:
    conf, stub = tmp_path / "resolv.conf", tmp_path / "stub"
    conf.write_text("nameserver 127.0.0.53\nsearch a.test\nsearch b.test.\noptions edns0\n")
    host = own(conf, stub)
    assert host["searches"] == ["b.test"]
    default = pod(dns_policy="Default")
    assert resolver_of(default, SETTINGS, host).servers == (SETTINGS.cluster_dns,)
    assert resolver_of(pod(dns_policy="Default", host_network=True), SETTINGS, host).servers == ("127.0.0.53",)
    stub.write_text("nameserver 10.1.1.1\nsearch c.test\n")
    assert resolver_of(default, SETTINGS, own(conf, stub)) == Resolver(("10.1.1.1",), ("c.test",), ())


def test_a_pod_is_called_by_its_hostname() -> None:
    assert node_name_of(pod(), SETTINGS) == "web"
    assert node_name_of(pod(hostname="h", subdomain="s"), SETTINGS) == "h"
    full = node_name_of(pod(hostname="h", subdomain="s", set_hostname_as_fqdn=True), SETTINGS)
    assert full == "h.s.default.svc.cluster.local"


def test_a_full_name_that_the_kernel_does_not_take_is_a_problem() -> None:
    with pytest.raises(ConfigProblem, match="is too long"):
        node_name_of(pod(hostname="h" * 60, subdomain="s", set_hostname_as_fqdn=True), SETTINGS)


def test_with_host_network_the_name_is_the_nodes() -> None:
    assert sandbox_spec(pod(host_network=True), 0, SETTINGS, HOST).hostname == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("$(A", "$(A"),
        ("$A", "$A"),
        ("$", "$"),
        ("x$(A)y$(A)", "x1y1"),
        ("$$$(A)", "$1"),
    ],
)
def test_known_names_are_expanded(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected
