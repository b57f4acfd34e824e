import asyncio

import aiohttp
import pytest
from aiohttp import web

from minikube.api.core_v1 import Service
from minikube.api.meta import from_dict
from minikube.apiserver.links import rewritten, through
from minikube.apiserver.proxy import Target, forward, place, split
from minikube.apiserver.services import port_name
from minikube.errors import BadRequest, NodeUnreachable, ServiceUnavailable
from minikube.transport.hijack import RawStream, dial
from tests.unit.transport.test_hijack import serving

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


async def test_the_body_that_a_server_sends_to_a_head_is_nobodys() -> None:
    said: list[bytes] = []

    async def careless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.readuntil(b"\r\n\r\n"))
        head = (
            b"HTTP/1.0 302 Found\r\nLocation: /y\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 4\r\n\r\n"
        )
        writer.write(head + b"body")
        writer.close()

    server = await asyncio.start_server(careless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        return await forward(request, Target("pod:80", lambda: dial("127.0.0.1", port)))

    async with serving(proxy) as (_, front), aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{front}{PREFIX}/x?y=1"
        async with session.head(url, headers={"Authorization": "Bearer x"}) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, f"{PREFIX}/y")
            assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
            assert answer.headers["Content-Length"] == "4"
    server.close()
    assert said[0].startswith(b"HEAD /x?y=1 HTTP/1.1\r\n")
    assert b"Bearer" not in said[0]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_cannot_be_reached_is_told_as_upstream_tells_it(method: str) -> None:
    told: list[str] = []

    async def nowhere() -> RawStream:
        raise NodeUnreachable("dial tcp 10.42.0.5:80: connect: connection refused")

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        with pytest.raises(NodeUnreachable) as caught:
            await forward(request, Target("pod:80", nowhere))
        told.append(caught.value.message)
        return web.Response()

    async with serving(proxy) as (_, front), aiohttp.ClientSession() as session:
        await session.request(method, f"http://127.0.0.1:{front}{PREFIX}/x")
    assert told == ["error trying to reach service: dial tcp 10.42.0.5:80: connect: connection refused"]
