"""kopf with more than handlers: its admission webhooks, a peer, a daemon, a timer, children that it adopts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minikube.pki.certificates import Pair, ensure_ca, ensure_leaf
from tests.api.conftest import Cluster

OPERATOR = """
    import os
    import kopf, kubernetes

    WHERE = ("examples.kopf.example.com",)

    @kopf.on.startup()
    def configure(settings, **_):
        made = os.environ["CERTIFICATES"]
        settings.admission.server = kopf.WebhookServer(
            addr="127.0.0.1", port=int(os.environ["PORT"]), host="127.0.0.1",
            certfile=f"{made}/hook.crt", pkeyfile=f"{made}/hook.key", cafile=f"{made}/hook-ca.crt",
        )
        settings.admission.managed = "auto.kopf.example.com"
        settings.peering.mandatory = True
        settings.peering.priority = 10

    @kopf.on.validate(*WHERE, operations=["CREATE", "UPDATE"])
    def judged(spec, warnings, **_):
        warnings.append("mind the step")
        if spec.get("size") == 13:
            raise kopf.AdmissionError("thirteen is refused", code=429)

    @kopf.on.mutate(*WHERE, operations=["CREATE"])
    def completed(patch, **_):
        patch.spec["completed"] = True

    @kopf.daemon(*WHERE)
    async def waiting(stopped, logger, **_):
        await stopped.wait()
        logger.info("the daemon ends")

    @kopf.timer(*WHERE, interval=0.2)
    def ticking(status, patch, **_):
        patch.status["ticks"] = status.get("ticks", 0) + 1
        if patch.status["ticks"] > 2:
            raise kopf.PermanentError("that is enough")

    @kopf.on.create(*WHERE)
    def made(name, namespace, **_):
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-child"}}
        kopf.adopt(child)
        kubernetes.config.load_kube_config()
        kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, child)
"""
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
PEERS = "kopfpeerings.kopf.dev"
WEBHOOKS = ("validatingwebhookconfiguration", "mutatingwebhookconfiguration")


def definition(plural: str, group: str, kind: str) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": ANYTHING, "status": ANYTHING}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"plural": plural, "kind": kind, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"scope": "Namespaced", "group": group, "names": names, "versions": [version]},
    }


def example(name: str, size: int) -> str:
    head = {"apiVersion": "kopf.example.com/v1", "kind": "Example", "metadata": {"name": name}}
    return json.dumps({**head, "spec": {"size": size}})


@pytest.fixture
def operator(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """It runs, and its webhooks are registered; yields its log."""
    defined = [
        definition("kopfpeerings", "kopf.dev", "KopfPeering"),
        definition("examples", "kopf.example.com", "Example"),
    ]
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": defined}))
    cluster.kubectl("wait", "--for=condition=Established", "crd", PEERS, "examples.kopf.example.com")
    peering = {"apiVersion": "kopf.dev/v1", "kind": "KopfPeering", "metadata": {"name": "default"}}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(peering))
    pair = Pair(tmp_path / "hook.crt", tmp_path / "hook.key")
    ensure_leaf(pair, ensure_ca(tmp_path, "hook-ca"), common_name="hook", names=["127.0.0.1"], server=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program, log = tmp_path / "operator.py", tmp_path / "operator.log"
    program.write_text(textwrap.dedent(OPERATOR))
    namespace = cluster.kubectl("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    variables = {"KUBECONFIG": str(cluster.kubeconfig), "CERTIFICATES": str(tmp_path), "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "kopf", "run", "--namespace", namespace, "--peering=default", str(program)],
        env={**os.environ, **variables, "HOME": str(tmp_path)},
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )
    try:
        for kind in WEBHOOKS:
            rules = ("get", kind, "auto.kopf.example.com", "-o", "jsonpath={.webhooks[*].rules[*].resources}")
            cluster.wait(lambda rules=rules: "examples" in cluster.run(*rules).stdout, 60)
        yield log
    finally:
        process.terminate()
        process.wait(timeout=30)
        for kind in WEBHOOKS:
            cluster.run("delete", kind, "auto.kopf.example.com", "--ignore-not-found")
        cluster.run("delete", "crd", PEERS, "examples.kopf.example.com", "--wait=false")


@pytest.mark.timeout(240)
def test_an_operator_with_webhooks_peers_daemons_timers_and_children(cluster: Cluster, operator: Path):
    def said(field: str) -> str:
        return cluster.run("get", "example", "a", "-o", f"jsonpath={{{field}}}").stdout

    made = cluster.run("create", "-f", "-", stdin=example("a", 1))
    assert (made.returncode, made.stderr) == (0, "Warning: mind the step\n")
    assert said(".spec.completed") == "true"
    assert "denied the request: thirteen is refused" in cluster.refused("create", "-f", "-", stdin=example("b", 13))
    cluster.wait(lambda: int(said(".status.ticks") or 0) > 1, 60)
    owners = ("get", "configmap", "a-child", "-o", "jsonpath={.metadata.ownerReferences[*].name}")
    cluster.wait(lambda: cluster.run(*owners).stdout == "a", 60)
    assert '"priority":10' in cluster.kubectl("get", PEERS, "default", "-o", "jsonpath={.status}")
    cluster.kubectl("delete", "example", "a", "--timeout=60s")
    assert "the daemon ends" in operator.read_text()
    cluster.wait(lambda: "not found" in cluster.run("get", "configmap", "a-child").stderr)
