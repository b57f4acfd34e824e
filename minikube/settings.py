"""Frozen settings of the process: flags win over MINIKUBE_* variables, those over the configuration file."""

from __future__ import annotations

from pathlib import Path

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
    datastore_endpoint: str = ""
    """A SQLAlchemy URL; empty: SQLite in the data directory."""
    token: str = ""
    disable_agent: bool = False

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
    kubelet_port: int = 10250
    max_pods: int = 110
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
    def tls_dir(self) -> Path:
        return self.server_dir / "tls"

    @property
    def images_dir(self) -> Path:
        return self.agent_dir / "images"

    @property
    def pods_dir(self) -> Path:
        return self.agent_dir / "pods"
