"""The audit log of a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Cluster
from tests.api.test_access import status_of

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: RequestResponse, resources: [{group: "", resources: [configmaps]}], namespaces: [default]}
- {level: Metadata, nonResourceURLs: [/apis]}
- {level: Metadata, resources: [{group: "", resources: [pods]}], namespaces: [default]}
"""


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("MINIKUBE_AUDIT_POLICY_FILE", str(tmp_path / "policy.yaml"))
    monkeypatch.setenv("MINIKUBE_AUDIT_LOG_PATH", str(tmp_path / "audit.log"))
    cluster = Cluster(tmp_path)
    cluster.start()
    yield cluster
    cluster.stop()


def test_requests_are_written_down_as_the_policy_says(audited: Cluster) -> None:
    audited.kubectl("create", "configmap", "a", "--from-literal=x=y", "-n", "default")
    audited.refused("get", "pods", "-n", "default", "--as=bob", "--as-group=team")
    status_of(audited, "/apis")
    audited.kubectl("label", "ns", "default", "pod-security.kubernetes.io/audit=baseline")
    audited.kubectl("run", "bad", "--image=x", "--privileged", "-n", "default")

    def events(**fields: Any) -> list[dict[str, Any]]:
        lines = (audited.root / "audit.log").read_text().splitlines()
        return [event for event in map(json.loads, lines) if all(event.get(k) == v for k, v in fields.items())]

    (created,) = [one for one in events(verb="create") if one["objectRef"].get("resource") == "configmaps"]
    assert created["objectRef"]["name"] == "a"
    assert created["level"] == "RequestResponse"
    assert created["stage"] == "ResponseComplete"
    assert created["user"]["username"] == "system:admin"
    assert created["requestObject"]["data"] == created["responseObject"]["data"] == {"x": "y"}
    assert "managedFields" not in created["responseObject"]["metadata"]
    assert created["responseStatus"]["code"] == 201
    assert created["annotations"]["authorization.k8s.io/decision"] == "allow"
    refused = events(verb="list", impersonatedUser={"username": "bob", "groups": ["team", "system:authenticated"]})
    assert {one["responseStatus"]["code"] for one in refused} == {403}
    anonymous = [one for one in events(requestURI="/apis") if one["user"]["username"] == "system:anonymous"]
    assert anonymous[0]["responseStatus"]["reason"] == "Forbidden"
    pods = [one for one in events(verb="create") if one["objectRef"].get("resource") == "pods"]
    assert pods[0]["level"] == "Metadata"
    assert pods[0]["objectRef"]["name"] == "bad"
    note = pods[0]["annotations"]["pod-security.kubernetes.io/audit-violations"]
    assert note.startswith('would violate PodSecurity "baseline:latest": privileged')
