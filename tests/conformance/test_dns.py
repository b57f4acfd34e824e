"""network/dns: the names of the cluster, asked with dig over UDP and TCP, and /etc/hosts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Space, agnhost, pod
from tests.conformance.traffic import client, http, service

pytestmark = pytest.mark.conformance

LABELS = {"dns-test": "true"}
DOMAIN = "svc.cluster.local"


def kind(name: str) -> str:
    return "PTR" if name.endswith(".arpa.") else "SRV" if name.startswith("_") else "A"


def resolves(space: Space, caller: str, *names: str) -> None:
    """Every name has an answer, by UDP and by TCP, through the search path."""
    asked = [f"dig {by} +noall +answer +search {name} {kind(name)}" for name in names for by in ("+notcp", "+tcp")]
    script = "\n".join(f'test -n "$({command})" || echo {command}' for command in asked)
    space.wait(lambda: space.exec(caller, "sh", "-c", script) == "")


def digged(space: Space, caller: str, name: str, kind: str = "A") -> list[str]:
    return sorted(space.exec(caller, "dig", "+short", name, kind).split("\n"))[1:]


@row("DNS should provide DNS for the cluster")
def test_the_api_has_a_name(space: Space):
    caller = client(space)
    resolves(space, caller, f"kubernetes.default.{DOMAIN}", "kubernetes.default", "kubernetes.default.svc")
    assert digged(space, caller, f"kubernetes.default.{DOMAIN}") == ["10.43.0.1"]


@row("DNS should provide /etc/hosts entries for the cluster")
def test_a_pod_knows_its_own_name(space: Space):
    caller = client(space, hostname="dns-querier-1", subdomain="dns-test-service")
    for name in (f"dns-querier-1.dns-test-service.{space.name}.{DOMAIN}", "dns-querier-1"):
        assert space.exec(caller, "getent", "hosts", name)
    assert space.exec(caller, "hostname", "-f").strip() == f"dns-querier-1.dns-test-service.{space.name}.{DOMAIN}"


def reverse(address: str) -> str:
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa."


@row("DNS should provide DNS for services", "DNS should resolve DNS of partial qualified names for services")
def test_services_have_addresses_ports_and_names(space: Space):
    space.create(service("headless", LABELS, http(80, 8080), clusterIP="None"))
    address = space.create(service("regular", LABELS, http(80, 8080)))["spec"]["clusterIP"]
    caller = client(space, hostname="dns-querier-1", subdomain="headless", labels=LABELS)
    ip = space.get("v1/Pod", caller)["status"]["podIP"]
    whole = f"{space.name}.{DOMAIN}"
    resolves(
        space,
        caller,
        f"headless.{whole}",
        f"_http._tcp.headless.{whole}",
        f"_http._tcp.regular.{whole}",
        reverse(address),
        "headless",
        f"headless.{space.name}",
        f"headless.{space.name}.svc",
        f"_http._tcp.headless.{space.name}.svc",
        f"_http._tcp.regular.{space.name}.svc",
    )
    assert digged(space, caller, f"headless.{whole}") == [ip]
    assert digged(space, caller, f"regular.{whole}") == [address]
    assert digged(space, caller, f"_http._tcp.regular.{whole}", "SRV") == [f"0 100 80 regular.{whole}."]
    srv = digged(space, caller, f"_http._tcp.headless.{whole}", "SRV")
    assert srv == [f"0 100 8080 dns-querier-1.headless.{whole}."]
    assert digged(space, caller, reverse(address), "PTR") == [f"regular.{whole}."]
    assert digged(space, caller, reverse(ip), "PTR") == [f"dns-querier-1.headless.{whole}."]


@row("DNS should provide DNS for pods for Hostname", "DNS should provide DNS for pods for Subdomain")
def test_pods_have_names_below_a_headless_service(space: Space):
    space.create(service("dns-test-service-2", LABELS, http(), clusterIP="None"))
    caller = client(space, hostname="dns-querier-2", subdomain="dns-test-service-2", labels=LABELS)
    name = f"dns-querier-2.dns-test-service-2.{space.name}.{DOMAIN}"
    resolves(space, caller, name, f"dns-test-service-2.{space.name}.{DOMAIN}")
    assert space.exec(caller, "getent", "hosts", name)
    assert space.exec(caller, "getent", "hosts", "dns-querier-2")
    other = client(space, "other")
    resolves(space, other, name)


def cname(space: Space, caller: str, name: str) -> Sequence[str]:
    return digged(space, caller, f"{name}.{space.name}.{DOMAIN}", "CNAME")


@row("DNS should provide DNS for ExternalName services")
def test_an_external_name_follows_its_service(space: Space):
    made = service("external", None, type="ExternalName", externalName="foo.example.com")
    made["spec"]["ports"] = []
    space.create(made)
    caller = client(space)
    space.wait(lambda: cname(space, caller, "external") == ["foo.example.com."])
    found = space.get("v1/Service", "external")
    found["spec"]["externalName"] = "bar.example.com"
    found = space.update(found)
    space.wait(lambda: cname(space, caller, "external") == ["bar.example.com."])
    found["spec"] |= {"type": "ClusterIP", "ports": [http(80, 80)]}
    found = space.update(found)
    name = f"external.{space.name}.{DOMAIN}"
    space.wait(lambda: digged(space, caller, name) == [found["spec"]["clusterIP"]])


@row("DNS should support configurable pod DNS nameservers")
def test_a_pod_says_whom_it_asks(space: Space):
    config = {
        "nameservers": ["1.1.1.1"],
        "searches": ["resolv.conf.local"],
        "options": [{"name": "ndots", "value": "2"}],
    }
    text = space.output(pod("pod", "cat", "/etc/resolv.conf", dnsPolicy="None", dnsConfig=config))
    assert text == "search resolv.conf.local\nnameserver 1.1.1.1\noptions ndots:2\n"
    default = space.output(pod("usual", "cat", "/etc/resolv.conf"))
    assert default.startswith(f"search {space.name}.{DOMAIN} {DOMAIN} cluster.local")
    assert "nameserver 10.43.0.10\noptions ndots:5\n" in default


def test_a_long_search_list_works(space: Space):
    searches = [f"{'a' * 60}.{number}.example.com" for number in range(10)]
    space.run(agnhost("pod", dnsConfig={"searches": searches}))
    script = "import socket; print(socket.gethostbyname('kubernetes.default'))"
    assert space.exec("pod", "python3", "-c", script) == "10.43.0.1\n"
