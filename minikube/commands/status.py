"""minikube status: whether this machine's minikube runs and is well, and if not, what is wrong and what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from minikube import __version__
from minikube.api.core_v1 import Event, Node, Pod
from minikube.client.http import HttpClient
from minikube.client.kubeconfig import client_from
from minikube.commands import problems
from minikube.commands.base import own_settings, table
from minikube.commands.certificate import certificates_of
from minikube.errors import ApiError
from minikube.kit import pidfile
from minikube.pki.node import node_pki
from minikube.settings import Settings, SettingsError
from minikube.transport.client import client_context

SECONDS = 10
"""A server that says nothing for so long does not answer."""
LITTLE = 100 * 1024 * 1024
"""Bytes left on the disk with the data at which that is a problem to name."""


class Report(msgspec.Struct, frozen=True):
    """What is said, and what is wrong (nothing: all is well)."""

    facts: Sequence[tuple[str, str]] = ()
    nodes: Sequence[Node] = ()
    wrong: Sequence[str] = ()


@click.command()
def status() -> None:
    """Show whether minikube runs here and is well; names what is wrong, and fails then."""
    settings = own_settings()
    path = Path(os.environ.get("KUBECONFIG") or settings.write_kubeconfig)
    machine = of_machine(settings)
    cluster = asyncio.run(of_cluster(path) if path.exists() else of_agent(settings))
    for name, fact in (*machine.facts, *cluster.facts):
        click.echo(f"{name:13} {fact}")
    if cluster.nodes:
        click.echo("\n" + table(list(_node_rows(cluster.nodes))))
    if wrong := [*machine.wrong, *cluster.wrong]:
        click.echo("\nWhat is wrong:\n" + "\n".join(f"- {each}" for each in wrong))
        raise SystemExit(1)


def of_machine(settings: Settings) -> Report:
    """From files: works while nothing runs."""
    facts, wrong = [], []
    pid = pidfile.holder(settings.pid_file)
    if pid is not None:
        facts.append(("minikube", f"{__version__}, running as process {pid}"))
    else:
        facts.append(("minikube", f"{__version__}, not running"))
        wrong.append(f"minikube does not run on this machine; {_how_to_start()}")
    if settings.data_dir.is_dir():
        free = shutil.disk_usage(settings.data_dir).free
        facts.append(("data", f"{settings.data_dir}, {free / 1e9:.1f} GB free"))
        wrong += full_disk(settings.data_dir, free)
    if found := list(certificates_of(settings)):
        now = datetime.now(UTC)
        first = min(found, key=lambda each: each.until)
        facts.append(("certificates", f"{len(found)}, the first expires {first.until:%Y-%m-%d}"))
        bad = (each for each in found if not each.since <= now < each.until)
        wrong += [f"certificate {each.file}: {each.state(now)}" for each in bad]
    return Report(facts, (), wrong)


def full_disk(directory: Path, free: int) -> Iterator[str]:
    """Said of the last megabytes: what is to be kept is refused when there are none."""
    if free < LITTLE:
        yield (
            f"the disk of {directory} has {free / 1e6:.0f} MB left: without any, the API reads but refuses "
            "every write, and pods are evicted; make room there"
        )


async def of_agent(settings: Settings) -> Report:
    """From the server it has joined, asked with the node's own certificate, which may see no other node."""
    pki, server, name = node_pki(settings), settings.server, settings.own_node_name
    if not server:
        return Report()
    facts = [("server", server)]
    if not pki.client.certificate.exists():
        return Report(facts, (), [f"this machine has not joined {server} yet"])
    try:
        context = client_context(pki.server_ca, pki.client.certificate, pki.client.key)
        async with asyncio.timeout(SECONDS), HttpClient(server, context) as client:
            node = await client.get(Node, name)
    except TimeoutError:
        return Report(facts, (), [f"{server} did not answer within {SECONDS} seconds"])
    except (ApiError, OSError) as error:
        return Report(facts, (), [f"{server} does not say how node {name} is: {error}"])
    return Report(facts, [node], list(problems.of_node(node)))


async def of_cluster(path: Path) -> Report:
    """From the API of that kubeconfig."""
    try:
        async with asyncio.timeout(SECONDS), client_from(path) as client:
            version = await client.request("GET", "/version")
            nodes = (await client.list(Node)).items
            pods = (await client.list(Pod)).items
            events = (await client.list(Event, fields="type=Warning")).items
    except (ApiError, SettingsError) as error:
        return Report([("api", "no answer")], (), [f"the API does not answer: {error}"])
    except TimeoutError:
        return Report([("api", "no answer")], (), [f"the API did not answer within {SECONDS} seconds"])
    facts = [("api", f"answers, Kubernetes {version['gitVersion']}"), ("pods", _counted(pods))]
    return Report(facts, nodes, list(_wrong(nodes, pods, events)))


def _wrong(nodes: Sequence[Node], pods: Sequence[Pod], events: Sequence[Event]) -> Iterator[str]:
    now, warnings = datetime.now(UTC), problems.last_warnings(events)
    for node in nodes:
        yield from problems.of_node(node)
    for pod in pods:
        yield from problems.of_pod(pod, now, warnings)


def _counted(pods: Sequence[Pod]) -> str:
    counts = Counter(pod.status.phase for pod in pods)
    return ", ".join(f"{count} {phase}" for phase, count in sorted(counts.items())) or "none"


def _node_rows(nodes: Sequence[Node]) -> Iterator[tuple[str, ...]]:
    yield "NODE", "STATUS", "ADDRESS", "VERSION", "RUNTIME"
    for node in nodes:
        ready = any(each.type == "Ready" and each.status == "True" for each in node.status.conditions)
        words = ("Ready" if ready else "NotReady") + (",SchedulingDisabled" if node.spec.unschedulable else "")
        address = next((each.address for each in node.status.addresses if each.type == "InternalIP"), "<none>")
        info = node.status.node_info
        versions = (info.kubelet_version, info.container_runtime_version) if info else ("", "")
        yield node.metadata.name, words, address, *versions


def _how_to_start() -> str:
    if Path("/run/systemd/system").is_dir():
        return "`systemctl start minikube` starts it, `journalctl -u minikube` has its last words"
    return "`minikube server` starts one; /var/log/minikube.log may have its last words"
