"""The command line: click commands make Settings; the only place that exits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from minikube import __version__
from minikube.client.kubeconfig import unreadable
from minikube.commands.certificate import certificate
from minikube.commands.image import image
from minikube.commands.node import node
from minikube.commands.secrets_encrypt import secrets_encrypt
from minikube.commands.service_account_key import service_account_key
from minikube.commands.status import status
from minikube.commands.token import token
from minikube.kit import memory, pidfile
from minikube.kit.logs import OneLine
from minikube.settings import Settings, SettingsError, load

HELP: dict[str, str] = {
    "data_dir": "State of the cluster and of the node.",
    "run_dir": "Sockets and pid files.",
    "write_kubeconfig": "Where the admin kubeconfig goes (mode 0600).",
    "cluster_cidr": "Address range of pods.",
    "service_cidr": "Address range of services.",
    "service_node_port_range": "Ports that NodePort services get.",
    "cluster_dns": "Service address of the cluster's DNS.",
    "cluster_domain": "DNS domain of the cluster.",
    "bind_address": "Address the API listens on (default: all).",
    "https_listen_port": "Port the API listens on.",
    "advertise_address": "Address other nodes and pods reach the API at (default: the node's).",
    "tls_san": "Another name or address for the API's certificate (repeatable).",
    "token": "Join token, or a file with it (agent); <6>.<16> characters that a server is to use as its own.",
    "certificate_lifetime": "How long certificates are good, e.g. 365d; they are renewed in time.",
    "disable_agent": "Run no pods on this machine.",
    "enable_admission_plugins": "Admission plugin that is off by default (repeatable).",
    "disable_admission_plugins": "Admission plugin to leave out (repeatable).",
    "token_auth_file": 'CSV file of static tokens: token,user,uid,"group,group".',
    "oidc_issuer_url": "Issuer of OpenID Connect tokens to accept (https://…).",
    "oidc_client_id": "The audience such a token must have.",
    "oidc_username_claim": "Claim that is the user's name.",
    "oidc_username_prefix": "What is put before it (default: the issuer and #, nothing for email; - : nothing).",
    "oidc_groups_claim": "Claim that lists the user's groups.",
    "oidc_groups_prefix": "What is put before each group.",
    "oidc_ca_file": "CA of the issuer's web site (default: the system's).",
    "requestheader_client_ca_file": "CA of front proxies, whose X-Remote-* headers are believed.",
    "requestheader_allowed_names": "Common name a front proxy must have (repeatable; default: any).",
    "audit_policy_file": "Audit policy (audit.k8s.io/v1); without one nothing is audited.",
    "audit_log_path": "Where audit events go, one JSON line each (-: standard output).",
    "audit_log_maxsize": "Megabytes after which the audit log is rotated.",
    "audit_log_maxbackup": "Rotated audit logs that are kept (0: all).",
    "audit_log_maxage": "Days that rotated audit logs are kept (0: for ever).",
    "max_requests_inflight": "Most reads that the API works on at once.",
    "max_mutating_requests_inflight": "Most writes that the API works on at once.",
    "profiling": "Serve /debug/pprof/: stacks and profiles of the process.",
    "server": "URL of the server to join, e.g. https://10.0.0.1:6443.",
    "node_name": "Name of this node (default: the host name).",
    "node_ip": "Address of this node (default: that of the default route).",
    "node_external_ip": "External address of this node.",
    "node_label": "Label key=value for this node when it registers (repeatable).",
    "node_taint": "Taint key=value:effect for this node when it registers (repeatable).",
    "container_runtime_endpoint": "CRI socket of a runtime to use (default: a containerd of our own).",
    "private_registry": "File with mirrors, credentials and TLS of registries.",
    "image_pull_credentials_verification_policy": "Images that need their credentials again: NeverVerify, "
    "NeverVerifyPreloadedImages or AlwaysVerify.",
    "max_parallel_image_pulls": "Most images pulled at the same time.",
    "kubelet_dir": "Where device plugins look for the kubelet's sockets.",
    "kubelet_port": "Port of the node's API.",
    "resolv_conf": "File with the node's own name servers.",
    "max_pods": "Most pods on this node.",
    "cgroup_root": "Control group that holds all pods.",
    "pod_logs_dir": "Where the logs of containers are.",
    "default_local_storage_path": "Where volumes of the local-path class are.",
    "kube_reserved": "Resources kept for minikube itself, e.g. cpu=200m,memory=256Mi.",
    "system_reserved": "Resources kept for the rest of the machine.",
    "eviction_hard": "Thresholds at which pods are evicted at once.",
    "eviction_soft": "Thresholds at which pods are evicted after a grace period.",
    "eviction_soft_grace_period": "Grace period of each soft threshold, e.g. memory.available=1m30s.",
    "eviction_minimum_reclaim": "How much more than a met threshold is reclaimed, e.g. nodefs.available=500Mi.",
    "eviction_max_pod_grace_period": "Most seconds that a pod gets to end at a soft threshold.",
    "eviction_pressure_transition_period": "How long a pressure condition stays after its threshold.",
    "image_gc_high_threshold": "Percent of the disk used at which unused images are removed.",
    "image_gc_low_threshold": "Percent of the disk used to which they are removed.",
    "image_minimum_gc_age": "How long an image stays in any case, such as 2m.",
    "image_maximum_gc_age": "How long an image may stay unused, such as 168h (0s: while there is room).",
    "container_log_max_size": "Size at which the log of a container is rotated.",
    "container_log_max_files": "Most log files of a container.",
    "shutdown_grace_period": "Seconds that pods get to end when the machine goes down (0: none).",
    "shutdown_grace_period_critical_pods": "Seconds of these that are kept for critical pods.",
    "shutdown_grace_period_by_pod_priority": "Instead: by priority, lowest first, e.g. 0=30s,1000=10s.",
    "allowed_unsafe_sysctls": "Sysctl, or beginning with *, that pods may set beside the safe ones (repeatable).",
    "seccomp_default": "Give containers the runtime's seccomp profile unless they ask for another.",
    "max_container_restart_period": "Longest back-off of a container that keeps ending (1s to 5m).",
    "pod_max_pids": "Most processes of one pod (0: no limit).",
    "simulate": "Run no containers: pods go through their life on paper.",
    "log_level": "debug, info, warning or error.",
}
SERVER_ONLY = frozenset(
    {
        "write_kubeconfig", "bind_address", "https_listen_port", "advertise_address", "tls_san",
        "certificate_lifetime", "disable_agent", "service_node_port_range",
        "enable_admission_plugins", "disable_admission_plugins", "token_auth_file", "oidc_issuer_url",
        "oidc_client_id", "oidc_username_claim", "oidc_username_prefix", "oidc_groups_claim", "oidc_groups_prefix",
        "oidc_ca_file", "requestheader_client_ca_file", "requestheader_allowed_names", "audit_policy_file",
        "audit_log_path", "audit_log_maxsize", "audit_log_maxbackup", "audit_log_maxage",
        "max_requests_inflight", "max_mutating_requests_inflight", "profiling",
    }
)  # fmt: skip
AGENT_ONLY = frozenset({"server"})

Command = Callable[..., None]


def settings_options(exclude: frozenset[str]) -> Callable[[Command], Command]:
    """A flag for every setting that this command has."""

    def decorate(command: Command) -> Command:
        for field in reversed(msgspec.structs.fields(Settings)):
            if field.name in exclude:
                continue
            flag = "--" + field.name.replace("_", "-")
            what: dict[str, Any] = {"help": HELP[field.name], "default": None}
            if field.type is bool:
                what["is_flag"] = True
            elif field.type is int:
                what["type"] = int
            elif field.type is Path:
                what["type"] = click.Path(path_type=Path)
            elif "tuple" in str(field.type):
                what["multiple"] = True
            command = click.option(flag, field.name, **what)(command)
        return click.option("--config", type=click.Path(path_type=Path), default=None, help="Configuration file.")(
            command
        )

    return decorate


class Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """What only root may see or do ends with a sentence for everybody else."""
        try:
            return super().invoke(ctx)
        except PermissionError as error:
            if os.geteuid() == 0:
                raise
            raise click.ClickException(f"{error.filename}: {error.strerror}; run it as root") from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="minikube")
def main() -> None:
    """A whole Kubernetes cluster in one process.

    \b
    minikube server                       start a cluster on this machine
    minikube agent --server URL --token T join another machine to it
    minikube status                       what runs here, and what is wrong
    minikube kubectl get nodes            talk to the cluster as its administrator

    Every flag can also be an environment variable (MINIKUBE_NODE_NAME) or a key of
    /etc/minikube/config.yaml (nodeName).
    """


for command in (status, image, token, node, certificate, service_account_key, secrets_encrypt):
    main.add_command(command)


@main.command()
@settings_options(AGENT_ONLY)
def server(config: Path | None, **flags: Any) -> None:
    """Run a server: API, datastore, scheduler, controllers and this machine's pods."""
    from minikube.server import run_server

    settings = _settings(config, flags)
    with _alone(settings):
        _run(settings, run_server(settings))


@main.command()
@settings_options(SERVER_ONLY)
def agent(config: Path | None, **flags: Any) -> None:
    """Run a node only, joined to the server at --server."""
    from minikube.agent import run_agent

    settings = _settings(config, flags)
    if not settings.server:
        raise click.UsageError("an agent needs --server and, until it has joined, --token")
    with _alone(settings):
        _run(settings, run_agent(settings))


@main.command(  # from the first word on everything is kubectl's, -- too
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(arguments: tuple[str, ...]) -> None:
    """Run kubectl with the admin kubeconfig."""
    settings = _settings(None, {})
    path = settings.write_kubeconfig
    if "KUBECONFIG" not in os.environ:
        try:
            path.open().close()
        except OSError as error:  # kubectl would try localhost:8080, and say so at length
            raise click.ClickException(unreadable(path, error)) from error
    environment = {"KUBECONFIG": str(path), **os.environ}
    try:
        os.execvpe("kubectl", ["kubectl", *arguments], environment)
    except FileNotFoundError:
        raise click.ClickException("kubectl is not installed; install.sh brings it") from None


@main.command()
@click.option("--data", is_flag=True, help="Remove the cluster's data and the images too.")
@click.option("--config", type=click.Path(path_type=Path), default=None, help="Configuration file.")
def uninstall(config: Path | None, data: bool) -> None:
    """Stop minikube and take everything it made off this machine; without --data the cluster's state stays."""
    from minikube.uninstall import uninstall as take_off

    settings = _settings(config, {})
    if os.getuid() != 0:
        raise click.ClickException("run it as root")
    _run(settings, take_off(settings, lambda text: click.echo(f"==> {text}"), data=data))
    if not data:
        click.echo(f"The data stays in {settings.data_dir} (--data removes it)")


def _settings(config: Path | None, flags: dict[str, Any]) -> Settings:
    try:
        return load(flags, os.environ, config)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """A machine's containers and network have one owner; what runs none of them needs no such care."""
    if settings.simulate or settings.disable_agent:
        yield
        return
    try:
        with pidfile.held(settings.pid_file):
            yield
    except pidfile.AlreadyRunning as error:
        raise click.ClickException(f"minikube runs here already (process {error.pid})") from error


def _run(settings: Settings, work: Coroutine[Any, Any, None]) -> None:
    import uvloop

    memory.loaded()
    memory.few_arenas()
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(OneLine())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[lines])
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
    except KeyboardInterrupt:
        sys.exit(130)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
