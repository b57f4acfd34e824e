"""Frozen settings of the process: flags win over MINIKUBE_* variables, those over the configuration file."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every field is a flag `--field-name`, a variable `MINIKUBE_FIELD_NAME` and a key `fieldName` of the file."""

    # paths
    data_dir: Path = Path("/var/lib/minikube")
    run_dir: Path = Path("/run/minikube")
    write_kubeconfig: Path = Path("/etc/minikube/kubeconfig.yaml")

    # the cluster
    cluster_cidr: str = "10.42.0.0/16"
    service_cidr: str = "10.43.0.0/16"
    service_node_port_range: str = "30000-32767"
    cluster_dns: str = "10.43.0.10"
    cluster_domain: str = "cluster.local"

    # the API server
    bind_address: str = ""
    """Empty: all addresses."""
    https_listen_port: int = 6443
    advertise_address: str = ""
    """Empty: the node's address."""
    tls_san: tuple[str, ...] = ()
    token: str = ""
    certificate_lifetime: str = "365d"
    """Of every certificate but the CAs'."""
    disable_agent: bool = False
    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    profiling: bool = False
    """Serve /debug/pprof/."""

    # who is believed, beside the cluster's own certificates and tokens
    token_auth_file: str = ""
    oidc_issuer_url: str = ""
    oidc_client_id: str = ""
    oidc_username_claim: str = "sub"
    oidc_username_prefix: str = ""
    oidc_groups_claim: str = ""
    oidc_groups_prefix: str = ""
    oidc_ca_file: str = ""
    requestheader_client_ca_file: str = ""
    requestheader_allowed_names: tuple[str, ...] = ()

    # what is written down of requests
    audit_policy_file: str = ""
    audit_log_path: str = ""
    audit_log_maxsize: int = 100
    audit_log_maxbackup: int = 10
    audit_log_maxage: int = 30

    # the node
    server: str = ""
    """URL of the server that an agent joins."""
    node_name: str = ""
    """Empty: the host name."""
    node_ip: str = ""
    node_external_ip: str = ""
    node_label: tuple[str, ...] = ()
    node_taint: tuple[str, ...] = ()
    container_runtime_endpoint: str = ""
    """Empty: start and supervise a containerd of our own."""
    private_registry: Path = Path("/etc/minikube/registries.yaml")
    """Mirrors, credentials and TLS of registries."""
    max_parallel_image_pulls: int = 3
    image_pull_credentials_verification_policy: str = "NeverVerifyPreloadedImages"
    """Which images that are here a pod may use only with the credentials that they were pulled with: of all that
    this node pulled (so), of all (AlwaysVerify), or of none (NeverVerify)."""
    kubelet_port: int = 10250
    kubelet_dir: Path = Path("/var/lib/kubelet")
    """Where plugins look for the kubelet's sockets: device-plugins/kubelet.sock, pod-resources/kubelet.sock."""
    max_pods: int = 110
    resolv_conf: Path = Path("/etc/resolv.conf")
    """Where the node's name servers are."""
    cgroup_root: str = "/kubepods-minikube"
    """The control group that holds all pods, ours alone: what runs in there and is not known is killed."""
    pod_logs_dir: Path = Path("/var/log/pods")
    default_local_storage_path: str = ""
    """Empty: agent/storage in the data directory."""
    kube_reserved: str = ""
    system_reserved: str = ""
    """Resources that pods do not get: cpu=200m,memory=256Mi."""
    eviction_hard: str = (
        "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,"
        "imagefs.available<15%,imagefs.inodesFree<5%"
    )
    eviction_soft: str = ""
    eviction_soft_grace_period: str = ""
    eviction_minimum_reclaim: str = ""
    """How much more than a threshold asks for is reclaimed once it is met: nodefs.available=500Mi."""
    eviction_max_pod_grace_period: int = 0
    eviction_pressure_transition_period: str = "5m"
    image_gc_high_threshold: int = 85
    image_gc_low_threshold: int = 80
    image_minimum_gc_age: str = "2m"
    image_maximum_gc_age: str = "0s"
    """How long an image may stay unused; 0s: as long as there is room."""
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    """That pods may set beside the safe ones: net.core.somaxconn, or kernel.msg*."""
    seccomp_default: bool = False
    """Containers that ask for no seccomp profile get the runtime's."""
    max_container_restart_period: str = "5m"
    """The longest back-off of a container that keeps ending."""
    pod_max_pids: int = 0
    """0: no limit."""
    shutdown_grace_period: float = 0
    """Seconds that pods get to end before the machine goes down; 0: they are not looked after then."""
    shutdown_grace_period_critical_pods: float = 0
    """The last part of it, kept for critical pods."""
    shutdown_grace_period_by_pod_priority: str = ""
    """Instead of these two: 0=30s,1000=10s."""
    simulate: bool = False
    """Run no containers at all: pods go through their life only on paper."""

    log_level: str = "info"

    @property
    def server_dir(self) -> Path:
        return self.data_dir / "server"

    @property
    def agent_dir(self) -> Path:
        return self.data_dir / "agent"

    @property
    def pid_file(self) -> Path:
        """Of the process that runs this machine's pods."""
        return self.run_dir / "minikube.pid"

    @property
    def own_node_name(self) -> str:
        return self.node_name or platform.node().lower()

    @property
    def certificate_seconds(self) -> float:
        return seconds_of(self.certificate_lifetime)

    @property
    def tls_dir(self) -> Path:
        return self.server_dir / "tls"

    @property
    def device_plugins_dir(self) -> Path:
        return self.kubelet_dir / "device-plugins"

    @property
    def pod_resources_dir(self) -> Path:
        return self.kubelet_dir / "pod-resources"

    @property
    def images_dir(self) -> Path:
        return self.agent_dir / "images"

    @property
    def manifests_dir(self) -> Path:
        """Of static pods."""
        return self.agent_dir / "manifests"

    @property
    def pods_dir(self) -> Path:
        return self.agent_dir / "pods"

    @property
    def storage_dir(self) -> Path:
        """Directories that are persistent volumes."""
        return Path(self.default_local_storage_path or self.agent_dir / "storage")


class SettingsError(Exception):
    """A setting is wrong, or the machine cannot be used as asked; the message says what to do."""


UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float:
    """Of a duration as people write it: 90s, 2m, 1h30m, 365d. Raises ValueError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 90s, 30m, 24h or 365d")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


CONFIG_FILE = Path("/etc/minikube/config.yaml")


def load(flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None = None) -> Settings:
    """Flags (None or () is unset) over MINIKUBE_* over the file. Raises SettingsError."""
    values: dict[str, Any] = {}
    from_file = _read(config)
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    known = {_camel(name): name for name in fields}
    for key, value in from_file.items():
        name = known.get(key) or key.replace("-", "_")
        if name not in fields:
            raise SettingsError(
                f"{config or CONFIG_FILE}: unknown key {key!r}; known are {', '.join(sorted(known))}"
            )
        values[name] = value
    for name, field in fields.items():
        text = environment.get("MINIKUBE_" + name.upper())
        if text is not None:
            values[name] = _from_text(text, field.type)
        flag = flags.get(name)
        if flag is not None and flag != ():
            values[name] = flag
    try:
        seconds_of(str(values.get("certificate_lifetime", "1d")))
    except ValueError as error:
        raise SettingsError(f"setting certificate_lifetime: {error}") from error
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        raise SettingsError(f"setting {error}") from error


def _read(config: Path | None) -> Mapping[str, Any]:
    path = config or CONFIG_FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        if config is None:
            return {}
        raise SettingsError(f"{config} does not exist") from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    import yaml

    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: a mapping of settings is expected")
    return found


def _from_text(text: str, kind: Any) -> Any:
    if kind is bool:
        return text.lower() in ("1", "true", "yes", "on")
    if "tuple" in str(kind):
        return tuple(part for part in text.split(",") if part)
    return text


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
