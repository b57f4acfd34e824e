"""Probes: thresholds, delays and tickers, stalls, and one try of each kind against a real listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc.aio
import pytest

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import ContainerPort, HTTPGetAction, HTTPHeader, Pod, Probe, TCPSocketAction
from minikube.kit.clock import SystemClock
from minikube.node.probes.handlers import Failed, NotTried, dial, http_get, port_of
from minikube.node.probes.prober import Prober, first_after, next_after
from minikube.node.probes.stalls import Stalls
from minikube.node.probes.tally import Kind, Tally
from minikube.node.runtime.health import check
from minikube.node.runtime.simulated import SimulatedRuntime
from minikube.node.runtime.wire import encode
from tests.fakes.cluster import HandClock
from tests.unit.node.seen import NOW, pod, running, wanted

PROBE = Probe(success_threshold=2, failure_threshold=3)
HERE = "127.0.0.1"


def run(tally: Tally, outcomes: str) -> list[bool]:
    """The standing result after each outcome, + or -."""
    found = []
    for outcome in outcomes:
        tally.add(outcome == "+")
        found.append(tally.good)
    return found


@pytest.mark.parametrize(
    ("kind", "outcomes", "expected"),
    [
        (Kind.READINESS, "++", [False, True]),
        (Kind.READINESS, "+-++", [False, False, False, True]),
        (Kind.READINESS, "++---", [False, True, True, True, False]),
        (Kind.READINESS, "++--+--", [False, True, True, True, True, True, True]),
        (Kind.LIVENESS, "--+", [True, True, True]),
        (Kind.STARTUP, "--++", [False, False, False, True]),
    ],
)
def test_only_a_long_enough_run_changes_a_result(kind: Kind, outcomes: str, expected: list[bool]) -> None:
    assert run(Tally(kind, PROBE), outcomes) == expected


@pytest.mark.parametrize(
    ("kind", "restart"), [(Kind.LIVENESS, True), (Kind.STARTUP, True), (Kind.READINESS, False)]
)
def test_a_run_of_failures_restarts_unless_it_is_only_readiness(kind: Kind, restart: bool) -> None:
    tally = Tally(kind, PROBE)
    run(tally, "---")
    assert tally.failed is (kind is not Kind.READINESS)


def test_a_change_is_told_once() -> None:
    tally = Tally(Kind.READINESS, Probe())
    assert [tally.add(True), tally.add(True), tally.add(False)] == [True, False, False]


def test_what_was_ready_before_the_agent_stays_so_until_a_probe_says_otherwise() -> None:
    assert Tally(Kind.READINESS, PROBE, good=True).good


@pytest.mark.parametrize(
    ("delay", "age", "expected"), [(0, 0, 0), (30, 0, 30), (30, 10, 20), (30, 60, 0), (5, -9, 5)]
)
def test_the_initial_delay_counts_from_the_start_of_the_container(delay: int, age: int, expected: float) -> None:
    assert first_after(Probe(initial_delay_seconds=delay), NOW - timedelta(seconds=age), NOW) == expected


@pytest.mark.parametrize(("took", "expected"), [(0.25, 0.75), (1.25, 0.75), (0.0, 1.0)])
def test_tries_keep_to_their_ticker(took: float, expected: float) -> None:
    assert next_after(took, 1.0) == expected


class Still(HandClock):
    """Who sleeps sleeps for ever."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


class Jumping(HandClock):
    """The wall clock jumps, the monotonic one does not."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() - self.ahead


def test_a_quiet_time_is_to_be_trusted_a_jump_of_the_wall_clock_is_not() -> None:
    clock = Jumping()
    stalls = Stalls(clock)
    mark = stalls.mark()
    clock.at += timedelta(seconds=1)
    assert not stalls.since(mark)
    clock.at += timedelta(seconds=60)
    clock.ahead = 60
    assert stalls.since(mark)


async def test_a_late_beat_is_a_stall() -> None:
    clock = Still()
    stalls = Stalls(clock)
    beating = asyncio.create_task(stalls.run())
    mark = stalls.mark()
    await asyncio.sleep(0)
    clock.at += timedelta(seconds=5)
    assert stalls.since(mark)
    beating.cancel()


async def test_a_pod_that_ends_is_only_asked_whether_it_is_still_ready() -> None:
    """Nobody listens on port 1: liveness would want a restart. The other port is open."""
    told: list[str] = []
    changed = asyncio.Event()

    def hear(_pod: object, _wanted: object, reason: str, _message: str) -> None:
        told.append(reason)
        changed.set()

    server = await asyncio.start_server(lambda _, writer: writer.close(), HERE, 0)
    number = server.sockets[0].getsockname()[1]
    probes = {
        "liveness_probe": Probe(tcp_socket=TCPSocketAction(port=1), failure_threshold=1),
        "readiness_probe": Probe(tcp_socket=TCPSocketAction(port=number)),
    }
    main = wanted(**probes)
    prober = Prober(SimulatedRuntime(), SystemClock(), hear)
    container = running()
    async with server:
        prober.keep("u", [(main, container)], pod=pod(main=(main,)), ips=[HERE], ending=True)
        await changed.wait()
        assert prober.passes(container.id, Kind.READINESS)
        assert prober.failed([container.id]) == {}
        assert told == [""]
        prober.keep("u", ())


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port that gives each connection the next answer, and what was asked."""
    left, asked = list(answers), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(left.pop(0))
        writer.close()

    server = await asyncio.start_server(serve, HERE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


def answer(status: str, *headers: str, body: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


async def get(port: int, **more: object) -> str:
    return await http_get(HTTPGetAction(port=port, path="/x?y=1", **more), wanted(), HERE, 1.0)  # type: ignore[arg-type]


async def test_2xx_and_3xx_pass_and_the_request_is_as_the_pod_says() -> None:
    async with answering(answer("200 OK", body="fine"), answer("304 Not Modified")) as (port, asked):
        assert await get(port, http_headers=tuple(HTTPHeader(name="X-A", value=each) for each in "bc")) == ""
        assert await get(port) == ""
    assert asked[0].startswith(b"GET /x?y=1 HTTP/1.1\r\n")
    assert b"X-A: b\r\nX-A: c\r\n" in asked[0]
    assert f"Host: {HERE}:{port}\r\n".encode() in asked[0]


async def test_a_host_header_replaces_ours() -> None:
    async with answering(answer("200 OK")) as (port, asked):
        await get(port, http_headers=(HTTPHeader(name="Host", value="web"),))
    assert asked[0].lower().count(b"host:") == 1


async def test_a_header_of_ours_may_be_replaced_or_left_out() -> None:
    async with answering(answer("200 OK")) as (port, asked):
        await get(
            port, http_headers=(HTTPHeader(name="user-agent", value=""), HTTPHeader(name="Accept", value="a/b"))
        )
    assert b"agent" not in asked[0].lower()
    assert b"Accept: a/b\r\n" in asked[0]
    assert b"*/*" not in asked[0]


async def test_https_asked_of_a_plain_server_is_named() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, HERE, 0) as server:
        with pytest.raises(Failed, match="http: server gave HTTP response to HTTPS client"):
            await get(server.sockets[0].getsockname()[1], scheme="HTTPS")


async def test_a_port_without_a_number_proves_nothing() -> None:
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def hear(_: Pod, __: Wanted, reason: str, message: str) -> None:
        told.put_nowait((reason, message))

    main = wanted(liveness_probe=Probe(http_get=HTTPGetAction(port="nope"), failure_threshold=1, period_seconds=1))
    prober = Prober(SimulatedRuntime(), SystemClock(), hear)
    prober.keep("u", [(main, running())], pod=pod(main=(main,)), ips=[HERE])
    text = "Liveness probe errored and resulted in unknown state: "
    assert await told.get() == ("Unhealthy", f'{text}strconv.Atoi: parsing "nope": invalid syntax')
    assert prober.failed([running().id]) == {}
    prober.keep("u", ())


async def test_an_error_status_fails() -> None:
    async with answering(answer("500 Oops")) as (port, _):
        with pytest.raises(Failed, match="HTTP probe failed with statuscode: 500"):
            await get(port)


async def test_a_redirect_is_followed_on_the_same_host_and_is_a_warning_to_another() -> None:
    async with answering(answer("302 Found", "Location: /bad"), answer("404 Nope")) as (port, _):
        with pytest.raises(Failed, match="404"):
            await get(port)
    async with answering(answer("302 Found", "Location: http://elsewhere.test/")) as (port, _):
        assert (await get(port)).startswith("Probe terminated redirects")


async def test_what_hangs_times_out() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with await asyncio.start_server(hang, HERE, 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Failed, match="context deadline exceeded"):
            await http_get(HTTPGetAction(port=port), wanted(), HERE, 0.05)


async def test_a_closed_port_is_refused() -> None:
    async with answering() as (port, _):
        await dial(HERE, port, 1.0)
    with pytest.raises(Failed, match=f"dial tcp {HERE}:{port}: connect: connection refused"):
        await dial(HERE, port, 1.0)


def test_ports_have_names() -> None:
    named = wanted(ports=(ContainerPort(name="web", container_port=80),))
    assert port_of("web", named) == 80
    assert port_of("8080", named) == 8080
    with pytest.raises(NotTried, match='parsing "nope": invalid syntax'):
        port_of("nope", named)


@asynccontextmanager
async def health(status: int) -> AsyncIterator[tuple[str, list[bytes]]]:
    asked: list[bytes] = []

    async def answer_check(request: bytes, _: object) -> bytes:
        asked.append(request)
        return encode((1, status))

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(answer_check)
    generic = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port(f"{HERE}:0")
    await server.start()
    try:
        yield f"{HERE}:{port}", asked
    finally:
        await server.stop(None)


@pytest.mark.parametrize(("status", "why"), [(1, ""), (2, 'service unhealthy (responded with "NOT_SERVING")')])
async def test_grpc_health_is_asked_for_real(status: int, why: str) -> None:
    async with health(status) as (address, asked):
        assert await check(address, "web", 2.0) == why
    assert asked == [encode((1, "web"))]


async def test_a_grpc_server_without_health_is_told_apart_from_none_at_all() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port(f"{HERE}:0")
    await server.start()
    assert "does not implement the grpc health protocol" in await check(f"{HERE}:{port}", "", 2.0)
    await server.stop(None)
    assert await check(f"{HERE}:1", "", 0.5) != ""
