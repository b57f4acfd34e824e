"""Audit policies, and the log that rotates."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from minikube.apiserver.audit.log import AuditLog
from minikube.apiserver.audit.policy import Level, Stage, judge, read_policy
from minikube.apiserver.request_info import request_info
from minikube.auth.base import User
from minikube.settings import SettingsError
from tests.fakes.cluster import HandClock

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [system:kube-proxy]
  verbs: [watch]
- level: None
  nonResourceURLs: [/healthz*, /version]
- level: RequestResponse
  resources: [{group: "", resources: [pods, pods/*]}]
  namespaces: [prod]
- level: Request
  resources: [{group: apps, resources: ["*/scale"]}, {group: "", resources: [secrets], resourceNames: [one]}]
  omitStages: [ResponseStarted]
- level: Metadata
  userGroups: [team]
"""
BOB = User("bob", groups=("team",))


@pytest.mark.parametrize(
    ("method", "path", "user", "level"),
    [
        ("GET", "/healthz/etcd", BOB, Level.NONE),
        ("GET", "/api/v1/namespaces/prod/pods/a/log", BOB, Level.REQUEST_RESPONSE),
        ("GET", "/api/v1/namespaces/test/pods/a", BOB, Level.METADATA),
        ("PUT", "/apis/apps/v1/namespaces/x/deployments/d/scale", User("eve"), Level.REQUEST),
        ("GET", "/api/v1/namespaces/x/secrets/one", User("eve"), Level.REQUEST),
        ("GET", "/api/v1/namespaces/x/secrets/two", User("eve"), Level.NONE),
        ("GET", "/apis", BOB, Level.METADATA),
        ("GET", "/apis", None, Level.NONE),
    ],
)
def test_the_first_rule_that_matches_decides(
    tmp_path: Path, method: str, path: str, user: User | None, level: Level
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    verdict = judge(read_policy(file), user, request_info(method, path))
    assert verdict.level is level
    if level is Level.REQUEST:
        assert verdict.omitted == {Stage.REQUEST_RECEIVED, Stage.RESPONSE_STARTED}


@pytest.mark.parametrize("text", ["{", "kind: Policy", POLICY.replace("level: Metadata", "level: Everything")])
def test_a_policy_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"policy\.yaml"):
        read_policy(file)


def test_the_log_is_rotated_by_size_and_kept_by_number_and_age(tmp_path: Path) -> None:
    clock, path = HandClock(), tmp_path / "logs" / "audit.log"
    log = AuditLog(str(path), clock, megabytes=1, backups=2, days=1)
    line = {"x": "y" * 600_000}
    for number in range(5):
        log.write({**line, "n": number})
        clock.at += timedelta(seconds=1)
    rotated = sorted(path.parent.glob("audit-*.log"))
    assert [json.loads(one.read_text())["n"] for one in (*rotated, path)] == [2, 3, 4]
    assert path.stat().st_mode & 0o777 == 0o600
    clock.at += timedelta(days=2)
    log.write(line)
    assert len(list(path.parent.glob("audit-*.log"))) == 1
