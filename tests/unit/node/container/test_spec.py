"""What a pod is called, how it resolves names, and what its containers are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minikube.api.core_v1 import PodDNSConfig, PodDNSConfigOption, ResourceRequirements, SecurityContext
from minikube.node.container.resolver import Resolver, own, resolver_of
from minikube.node.container.spec import Given, Host, container_spec, expand, node_name_of, sandbox_spec
from minikube.node.pod.problems import ConfigProblem
from minikube.node.runtime.base import ContainerSpec, Image
from minikube.settings import Settings
from tests.unit.node.seen import pod, wanted

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


MACHINE = Host(memory=1000 * 1024 * 1024, seccomp_root="/seccomp", unified={"memory.oom.group": "1"})


def spec_of(user: str = "", **more: Any) -> ContainerSpec:
    """Of a container that asks for 100Mi and half a processor, and may have one."""
    asked = ResourceRequirements(requests={"cpu": "500m", "memory": "100Mi"}, limits={"cpu": "1"})
    container = wanted("a", resources=asked, **more)
    given = Given(image=Image("id", (), (), 0, user), env=(("A", "1"),), mounts=(), resources=asked)
    return container_spec(pod(main=(container,)), container, 2, MACHINE, given)


def test_a_container_is_made_of_what_it_says_and_what_it_was_given() -> None:
    found = spec_of(command=("echo", "$(A)", "$(B)"))
    assert (found.image, found.user_image, found.command) == ("id", "i", ("echo", "1", "$(B)"))
    assert found.log_path == "a/2.log"
    assert found.annotations["io.kubernetes.container.restartCount"] == "2"
    assert found.labels["io.kubernetes.pod.uid"] == "u"


def test_requests_are_weights_limits_are_quotas_and_memory_decides_who_is_killed_first() -> None:
    found = spec_of().resources
    assert (found.cpu_shares, found.cpu_quota, found.cpu_period) == (512, 100_000, 100_000)
    assert found.oom_score_adj == 900
    assert found.unified == {"memory.oom.group": "1"}


def test_a_container_that_must_not_be_root_is_not_made_of_an_image_that_is() -> None:
    never = SecurityContext(run_as_non_root=True)
    assert spec_of("1000", security_context=never).image == "id"
    with pytest.raises(ConfigProblem, match="image will run as root"):
        spec_of("0", security_context=never)
