"""What the kubelet's API tells of probes and volumes of real pods."""

from __future__ import annotations

import json

import pytest

from tests.machines import Machine
from tests.node.pods import Namespace

pytestmark = pytest.mark.node

MANIFEST = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 10Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "dd if=/dev/zero of=/cache/big bs=1M count=3; touch /cache/written; sleep 3600"]
    startupProbe: {exec: {command: [test, -e, /cache/written]}, periodSeconds: 1}
    readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    livenessProbe: {tcpSocket: {port: 9}, periodSeconds: 1, failureThreshold: 1000}
    volumeMounts: [{name: cache, mountPath: /cache}, {name: kept, mountPath: /kept}]
  volumes:
  - {name: cache, emptyDir: {}}
  - {name: kept, persistentVolumeClaim: {claimName: kept}}
"""


def ask(machine: Machine, path: str) -> str:
    return machine.kubectl("get", "--raw", f"/api/v1/nodes/{machine.name}/proxy/{path}")


def test_probes_are_counted_and_volumes_measured(machine: Machine, ns: Namespace) -> None:
    ns.kubectl("apply", "-f", "-", stdin=MANIFEST)
    ns.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=40s")
    uid = ns.kubectl("get", "pod", "p", "-o", "jsonpath={.metadata.uid}")
    of = f'container="c",namespace="{ns.name}",pod="p"'

    def counted(kind: str, result: str) -> bool:
        start = f'prober_probe_total{{{of},pod_uid="{uid}",probe_type="{kind}",result="{result}"}} '
        return any(line.startswith(start) for line in ask(machine, "metrics/probes").splitlines())

    machine.wait(lambda: counted("Startup", "successful") and counted("Readiness", "successful"))
    machine.wait(lambda: counted("Liveness", "failed"))
    assert not counted("Liveness", "successful")
    assert f'prober_probe_duration_seconds_bucket{{{of},probe_type="Readiness",le="+Inf"}}' in ask(
        machine, "metrics/probes"
    )

    summary = json.loads(ask(machine, "stats/summary"))
    assert summary["node"]["network"]["name"] == "eth0"
    pod = next(each for each in summary["pods"] if each["podRef"]["uid"] == uid)
    volumes = {each["name"]: each for each in pod["volume"]}
    assert 3 << 20 <= volumes["cache"]["usedBytes"] < 4 << 20
    assert volumes["cache"]["capacityBytes"] > volumes["cache"]["availableBytes"] > 0
    assert volumes["kept"]["pvcRef"] == {"name": "kept", "namespace": ns.name}
    assert next(name for name in volumes if name.startswith("kube-api-access"))
    assert pod["ephemeral-storage"]["usedBytes"] >= 3 << 20
    claim = f'kubelet_volume_stats_capacity_bytes{{namespace="{ns.name}",persistentvolumeclaim="kept"}} '
    assert claim in ask(machine, "metrics")
