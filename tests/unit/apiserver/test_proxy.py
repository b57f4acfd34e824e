import pytest

from minikube.api.core_v1 import Service
from minikube.api.meta import from_dict
from minikube.apiserver.links import rewritten, through
from minikube.apiserver.proxy import place, split
from minikube.apiserver.services import port_name
from minikube.errors import BadRequest, ServiceUnavailable

PREFIX = "/api/v1/namespaces/n/pods/p:80/proxy"
HOSTS = frozenset({"10.42.0.5:80", "cluster:6443"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p", ("", "p", "")),
        ("p:80", ("", "p", "80")),
        ("https:p:443", ("https", "p", "443")),
        (":p:web", ("", "p", "web")),
    ],
)
def test_a_name_may_carry_scheme_and_port(name: str, expected: tuple[str, str, str]) -> None:
    assert split(name, "pod") == expected


@pytest.mark.parametrize("name", ["a:b:c:d", "ftp:p:21"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest, match=f'invalid pod request "{name}"'):
        split(name, "pod")


def test_a_services_port_is_found_by_number_or_name() -> None:
    service = from_dict(
        Service, {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "web", "port": 80}, {"port": 81}]}}
    )
    assert [port_name(service, port) for port in ("80", "81", "web", "")] == ["web", "", "web", ""]
    with pytest.raises(ServiceUnavailable, match='no service port 82 found for service "s"'):
        port_name(service, "82")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PREFIX, (PREFIX, "")),
        (f"{PREFIX}/", (PREFIX, "/")),
        (f"{PREFIX}/a%2Fb/", (PREFIX, "/a%2Fb/")),
        ("/api/v1/nodes/n/proxy/pods", ("/api/v1/nodes/n/proxy", "/pods")),
    ],
)
def test_the_path_behind_the_proxy_is_kept_as_it_was_written(path: str, expected: tuple[str, str]) -> None:
    assert place(path) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/login?a=1#b", f"{PREFIX}/login?a=1#b"),
        ("http://10.42.0.5:80/x", f"{PREFIX}/x"),
        ("https://cluster:6443/x", f"{PREFIX}/x"),
        (f"{PREFIX}/x", f"{PREFIX}/x"),
        ("relative/x", "relative/x"),
        ("https://elsewhere/x", "https://elsewhere/x"),
        ("#top", "#top"),
    ],
)
def test_the_backends_own_addresses_lead_through_the_proxy(url: str, expected: str) -> None:
    assert through(url, PREFIX, HOSTS) == expected


def test_a_page_keeps_everything_but_its_links() -> None:
    page = (
        '<!DOCTYPE html><!-- c --><a class=x href="/rewriteme">a &amp; b</a><br/><img src="y.png">'
        "<script>1<2</script>"
    )
    assert rewritten(page, PREFIX, HOSTS) == page.replace(
        '<a class=x href="/rewriteme">', f'<a class="x" href="{PREFIX}/rewriteme">'
    )
