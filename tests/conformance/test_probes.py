"""node/probes: what probes do to a container; the periods are shorter than upstream's, what counts is the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, agnhost, pod, ready, shell

pytestmark = pytest.mark.conformance

TCP = {"tcpSocket": {"port": 8080}}
HEALTHZ = {"httpGet": {"path": "/healthz", "port": 8080}}
CAT = {"exec": {"command": ["cat", "/tmp/health"]}}


def probed(made: Obj, **probes: Obj) -> Obj:
    """The pod, restarted always, with these probes on its container."""
    made["spec"]["restartPolicy"] = "Always"
    made["spec"]["containers"][0] |= probes
    return made


def often(how: Obj, **more: Any) -> Obj:
    return {**how, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5, **more}


def restarts(space: Space, name: str) -> int:
    status = space.get("v1/Pod", name)["status"]
    return sum(each["restartCount"] for each in status.get("containerStatuses", ()))


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


@row("Probing container with readiness probe should not be ready before initial delay and never restart")
def test_a_pod_is_not_ready_before_the_initial_delay(space: Space):
    probe = {"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": 4}
    found = space.run(probed(agnhost("pod"), readinessProbe=probe))
    (container,) = found["status"]["containerStatuses"]
    (became,) = [each for each in found["status"]["conditions"] if each["type"] == "Ready"]
    assert (when(became["lastTransitionTime"]) - when(container["state"]["running"]["startedAt"])).seconds >= 4
    assert container["restartCount"] == 0


@row("Probing container with readiness probe that fails should never be ready and never restart")
def test_a_pod_whose_readiness_fails_is_never_ready_nor_restarted(space: Space):
    space.create(probed(agnhost("pod"), readinessProbe=often({"httpGet": {"port": 81, "path": "/"}})))
    space.wait(lambda: len([each for each in space.events("pod") if each["reason"] == "Unhealthy"]))
    space.stays(lambda: not ready(space.get("v1/Pod", "pod")), 3)
    status = space.get("v1/Pod", "pod")["status"]
    assert status["phase"] == "Running"
    assert restarts(space, "pod") == 0


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(
            probed(
                pod("pod", *shell("echo ok >/tmp/health; sleep 2; rm /tmp/health; exec sleep 600")),
                livenessProbe=often(CAT),
            ),
            marks=row('Probing container should be restarted with a exec "cat /tmp/health" liveness probe'),
            id="exec",
        ),
        pytest.param(
            probed(agnhost("pod", "netexec", "--unhealthy-after", "2"), livenessProbe=often(HEALTHZ)),
            marks=row("Probing container should be restarted with a /healthz http liveness probe"),
            id="http",
        ),
        pytest.param(
            probed(
                agnhost("pod", "grpc-health"), livenessProbe=often({"grpc": {"port": 2333}}, initialDelaySeconds=2)
            ),
            marks=row("Probing container should be restarted with a GRPC liveness probe"),
            id="grpc",
        ),
        pytest.param(
            probed(
                agnhost("pod", "netexec", "--unhealthy-after", "2"),
                livenessProbe=often({"httpGet": {"path": "/redirect?loc=%2Fhealthz", "port": 8080}}),
            ),
            id="redirected to itself",
        ),
        pytest.param(
            probed(pod("pod"), livenessProbe=often({"exec": {"command": ["sleep", "30"]}}, timeoutSeconds=1)),
            id="exec that takes too long",
        ),
        pytest.param(
            probed(
                pod("pod"),
                startupProbe=often({"exec": {"command": ["false"]}}, failureThreshold=3),
                livenessProbe=often({"exec": {"command": ["true"]}}),
            ),
            id="startup",
        ),
    ],
)
def test_a_container_is_restarted_when_a_probe_fails(space: Space, made: Obj):
    space.create(made)
    space.wait(lambda: restarts(space, "pod") >= 1)
    reasons = {each["reason"] for each in space.events("pod")}
    assert {"Unhealthy", "Killing"} <= reasons


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(
            probed(
                pod("pod", *shell("echo ok >/tmp/health; exec sleep 600")),
                livenessProbe=often(CAT, initialDelaySeconds=2),
            ),
            marks=row('Probing container should *not* be restarted with a exec "cat /tmp/health" liveness probe'),
            id="exec",
        ),
        pytest.param(
            probed(
                agnhost("pod"), livenessProbe=often({"httpGet": {"path": "/", "port": 8080}}, failureThreshold=5)
            ),
            marks=row("Probing container should *not* be restarted with a /healthz http liveness probe"),
            id="http",
        ),
        pytest.param(
            probed(
                agnhost("pod", "netexec", "--unhealthy-after", "0"), livenessProbe=often(TCP, failureThreshold=3)
            ),
            marks=row("Probing container should *not* be restarted with a tcp:8080 liveness probe"),
            id="tcp, whatever HTTP says",
        ),
        pytest.param(
            probed(
                agnhost("pod", "grpc-health"), livenessProbe=often({"grpc": {"port": 5000}}, failureThreshold=3)
            ),
            marks=row("Probing container should *not* be restarted with a GRPC liveness probe"),
            id="grpc",
        ),
        pytest.param(
            probed(
                pod("pod"),
                livenessProbe=often({"exec": {"command": ["false"]}}),
                startupProbe=often({"exec": {"command": ["false"]}}, failureThreshold=60),
            ),
            id="liveness waits for startup",
        ),
    ],
)
def test_a_container_whose_probe_holds_is_left_alone(space: Space, made: Obj):
    space.create(made)
    space.wait(lambda: space.get("v1/Pod", "pod")["status"]["phase"] == "Running")
    space.stays(lambda: restarts(space, "pod") == 0, 4)


def test_a_redirect_to_somebody_else_is_no_failure_and_told(space: Space):
    probe = often({"httpGet": {"path": "/redirect?loc=http%3A%2F%2F0.0.0.0%2F", "port": 8080}}, failureThreshold=3)
    space.create(probed(agnhost("pod"), livenessProbe=probe))
    warned = space.wait(lambda: [each for each in space.events("pod") if each["reason"] == "ProbeWarning"])
    assert "Probe terminated redirects" in warned[0]["message"]
    assert restarts(space, "pod") == 0


@row("Probing container should have monotonically increasing restart count")
def test_the_restart_count_only_rises(space: Space):
    probe = often({"exec": {"command": ["false"]}})
    space.create(probed(pod("pod"), livenessProbe=probe))
    seen = [0]
    while seen[-1] < 2:
        seen.append(space.wait(lambda: restarts(space, "pod") > seen[-1] and restarts(space, "pod")))
    assert seen == sorted(seen)
    (status,) = space.get("v1/Pod", "pod")["status"]["containerStatuses"]
    assert status["lastState"]["terminated"]["exitCode"] == 137
