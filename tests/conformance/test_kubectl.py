"""cli/kubectl: what users type, and what it prints."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod, ready, shell
from tests.conformance.workloads import template, wait_pods, workload
from tests.machines import KUBECTL

pytestmark = pytest.mark.conformance

RC = "v1/ReplicationController"
LABELS = {"app": "agnhost", "role": "primary"}
CLIENT = "Kubectl client "


def apply(space: Space, *objects: Obj, verb: str = "create", **how: object) -> str:
    text = "---\n".join(yaml.safe_dump(obj) for obj in objects)
    return space.kubectl(verb, "-f", "-", stdin=text)


def service(name: str, port: int, selector: dict[str, str], target: int) -> Obj:
    ports = [{"port": port, "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": selector},
        "spec": {"ports": ports, "selector": selector},
    }


def serving(name: str, labels: dict[str, str], replicas: int, port: int, script: str, kind: str = RC) -> Obj:
    container = {"ports": [{"containerPort": port}]}
    return workload(kind, name, labels, template(labels, *shell(script), container=container), replicas=replicas)


@row(CLIENT + "Guestbook application should create and stop a working application")
def test_a_guestbook(space: Space):
    """Frontends write to the primary and read from the replicas, which they find by name; so do the replicas."""
    primary = {"app": "book", "tier": "backend", "role": "primary"}
    replica, front = {**primary, "role": "replica"}, {"app": "book", "tier": "frontend"}
    store = """mkdir -p /www/cgi-bin; touch /www/book
printf '#!/bin/sh\\necho; echo "$QUERY_STRING" >> /www/book; echo set\\n' > /www/cgi-bin/set
chmod +x /www/cgi-bin/set; exec httpd -f -p 6379 -h /www"""
    copy = """mkdir /www; (while true; do wget -q -O /www/.new http://agnhost-primary:6379/book && mv /www/.new /www/book
sleep 0.2; done) & exec httpd -f -p 6379 -h /www"""
    page = """mkdir -p /www/cgi-bin
printf '#!/bin/sh\\necho; wget -q -O - "http://agnhost-primary:6379/cgi-bin/set?$QUERY_STRING"\\n' > /www/cgi-bin/set
printf '#!/bin/sh\\necho; wget -q -O - http://agnhost-replica:6379/book\\n' > /www/cgi-bin/get
chmod +x /www/cgi-bin/*; exec httpd -f -p 80 -h /www"""
    deployment = "apps/v1/Deployment"
    objects = (
        service("agnhost-replica", 6379, replica, 6379),
        service("agnhost-primary", 6379, primary, 6379),
        service("frontend", 80, front, 80),
        serving("frontend", front, 3, 80, page, deployment),
        serving("agnhost-primary", primary, 1, 6379, store, deployment),
        serving("agnhost-replica", replica, 2, 6379, copy, deployment),
    )
    apply(space, *objects)
    wait_pods(space, front, 3)
    wait_pods(space, {"app": "book", "tier": "backend"}, 3)

    def frontend(path: str) -> str:
        text: bytes = space.get("v1/Service", "frontend", sub=f"proxy/cgi-bin/{path}")
        return text.decode()

    space.wait(lambda: frontend("set?TestEntry") == "set\n")
    space.wait(lambda: "TestEntry" in frontend("get"))
    said = apply(space, *objects, verb="delete")
    assert 'deployment.apps "frontend" deleted' in said
    space.wait(lambda: not space.list("v1/Pod"))


@row(CLIENT + "Kubectl api-versions should check if v1 is in available api versions")
def test_api_versions(space: Space):
    assert "v1" in space.kubectl("api-versions").splitlines()


@row(CLIENT + "Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info")
def test_cluster_info(space: Space):
    text = re.sub(r"\x1b\[[0-9;]*m", "", space.kubectl("cluster-info"))
    assert re.search(r"Kubernetes control plane.*is running at https://\S+", text)


@row(CLIENT + "Kubectl version should check is all data is printed")
def test_version(space: Space):
    text = space.kubectl("version")
    for which in ("Client", "Server"):
        assert re.search(rf"{which} Version: v\d\.\d+\.[\d\w\-.+]+", text)
    found = json.loads(space.kubectl("version", "-o", "json"))["serverVersion"]
    assert (found["major"], re.match(r"\d+\+?$", found["minor"]) is not None) == ("1", True)
    assert all(
        found[field] for field in ("gitVersion", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")
    )


@row(CLIENT + "Kubectl describe should check if kubectl describe prints relevant information for rc and pods")
def test_describe(space: Space):
    apply(space, serving("agnhost-primary", LABELS, 1, 6379, "exec sleep 3600"))
    apply(space, service("agnhost-primary", 6379, LABELS, 6379))
    [found] = wait_pods(space, LABELS, 1)
    name, node = found["metadata"]["name"], found["spec"]["nodeName"]

    def says(kind: str, which: str, *wanted: tuple[str, ...]) -> None:
        text = space.kubectl("describe", kind, which)
        for words in wanted:
            lines = [line for line in text.splitlines() if line.lstrip().startswith(words[0])]
            assert any(all(word in line for word in words) for line in lines), (words, text)

    says(
        "pod",
        name,
        ("Name:", name),
        ("Namespace:", space.name),
        ("Node:", node),
        ("Labels:", "app=agnhost"),
        ("role=primary",),
        ("Annotations:",),
        ("Status:", "Running"),
        ("IP:", found["status"]["podIP"]),
        ("Controlled By:", "ReplicationController/agnhost-primary"),
        ("Image:", "busybox:test"),
        ("State:", "Running"),
        ("QoS Class:", "BestEffort"),
    )
    says(
        "rc",
        "agnhost-primary",
        ("Name:", "agnhost-primary"),
        ("Namespace:", space.name),
        ("Selector:", "app=agnhost,role=primary"),
        ("Labels:", "app=agnhost"),
        ("Replicas:", "1 current", "1 desired"),
        ("Pods Status:", "1 Running", "0 Waiting", "0 Succeeded", "0 Failed"),
        ("Pod Template:",),
        ("Image:", "busybox:test"),
        ("Events:",),
    )
    says(
        "service",
        "agnhost-primary",
        ("Name:", "agnhost-primary"),
        ("Namespace:", space.name),
        ("Labels:", "app=agnhost"),
        ("Selector:", "app=agnhost", "role=primary"),
        ("Type:", "ClusterIP"),
        ("IP:",),
        ("Port:", "<unset>", "6379/TCP"),
        ("Endpoints:", f"{found['status']['podIP']}:6379"),
        ("Session Affinity:", "None"),
    )
    says(
        "node",
        node,
        ("Name:", node),
        ("Labels:",),
        ("Annotations:",),
        ("CreationTimestamp:",),
        ("Conditions:",),
        ("Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"),
        ("Addresses:",),
        ("Capacity:",),
        ("System Info:",),
        ("Container Runtime Version:", "containerd://"),
        ("Kubelet Version:", "v1."),
        ("Non-terminated Pods:",),
    )
    says("namespace", space.name, ("Name:", space.name), ("Labels:",), ("Annotations:",), ("Status:", "Active"))
    made = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "cronjob-test"},
        "spec": {
            "schedule": "*/1 * * * *",
            "suspend": True,
            "jobTemplate": {"spec": {"template": template({}, restartPolicy="OnFailure")}},
        },
    }
    apply(space, made)
    says(
        "cronjob",
        "cronjob-test",
        ("Name:", "cronjob-test"),
        ("Schedule:", "*/1 * * * *"),
        ("Concurrency Policy:", "Allow"),
        ("Suspend:", "True"),
        ("Successful Job History Limit:", "3"),
        ("Failed Job History Limit:", "1"),
        ("Starting Deadline Seconds:", "<unset>"),
        ("Selector:", "<unset>"),
    )


@row(CLIENT + "Kubectl diff should check if kubectl diff finds a difference for Deployments")
def test_diff(space: Space):
    live = workload("apps/v1/Deployment", "httpd-deployment", LABELS, template(LABELS), replicas=1)
    apply(space, live)
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "busybox:other"
    done = space.try_kubectl("diff", "-f", "-", stdin=yaml.safe_dump(live))
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("-") and "busybox:test" in line for line in lines)
    assert any(line.startswith("+") and "busybox:other" in line for line in lines)
    space.kubectl("delete", "deployment", "httpd-deployment")


@row(CLIENT + "Kubectl expose should create services for rc")
def test_expose(space: Space):
    apply(space, serving("agnhost-primary", LABELS, 1, 6379, "exec sleep 3600"))
    [found] = wait_pods(space, LABELS, 1)

    def endpoint(name: str) -> None:
        def holds() -> bool:
            [subset] = space.get("v1/Endpoints", name)["subsets"]
            assert [one["targetRef"]["name"] for one in subset["addresses"]] == [found["metadata"]["name"]]
            return [one["port"] for one in subset["ports"]] == [6379]

        space.wait(holds)

    space.kubectl("expose", "rc", "agnhost-primary", "--name=rm2", "--port=1234", "--target-port=6379")
    space.kubectl("expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379")
    for name, port in (("rm2", 1234), ("rm3", 2345)):
        [shown] = space.get("v1/Service", name)["spec"]["ports"]
        assert (shown["port"], shown["targetPort"]) == (port, 6379)
        endpoint(name)


@row(CLIENT + "Kubectl label should update the label on a resource")
def test_label(space: Space):
    space.create(pod("pause"))

    def column() -> str:
        return space.kubectl("get", "pod", "pause", "-L", "testing-label").splitlines()[1]

    space.kubectl("label", "pods", "pause", "testing-label=testing-label-value")
    assert "testing-label-value" in column()
    assert space.kubectl("get", "pods", "-l", "testing-label=testing-label-value", "-o", "name") == "pod/pause\n"
    space.kubectl("label", "pods", "pause", "testing-label-")
    assert "testing-label-value" not in column()


@row(CLIENT + "Kubectl patch should add annotations for pods in rc")
def test_patch(space: Space):
    apply(space, serving("agnhost-primary", LABELS, 1, 6379, "exec sleep 3600"))
    for found in wait_pods(space, LABELS, 1):
        space.kubectl("patch", "pod", found["metadata"]["name"], "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    for found in wait_pods(space, LABELS, 1):
        assert found["metadata"]["annotations"]["x"] == "y"


@row(CLIENT + "Kubectl replace should update a single-container pod's image")
def test_replace(space: Space):
    space.kubectl("run", "e2e-test-httpd-pod", "--image=busybox:test", "--labels=run=e2e", "--", "sleep", "3600")
    space.wait(lambda: ready(space.get("v1/Pod", "e2e-test-httpd-pod")))
    text = space.kubectl("get", "pod", "e2e-test-httpd-pod", "-o", "json")
    said = space.kubectl("replace", "-f", "-", stdin=text.replace("busybox:test", "agnhost:test", 1))
    assert said == "pod/e2e-test-httpd-pod replaced\n"
    assert space.get("v1/Pod", "e2e-test-httpd-pod")["spec"]["containers"][0]["image"] == "agnhost:test"


@row(CLIENT + "Kubectl run pod should create a pod from an image when restart is Never")
def test_run(space: Space):
    said = space.kubectl(
        "run", "e2e-test-httpd-pod", "--restart=Never", "--pod-running-timeout=2m0s", "--image=busybox:test"
    )
    assert said == "pod/e2e-test-httpd-pod created\n"
    spec = space.get("v1/Pod", "e2e-test-httpd-pod")["spec"]
    assert (spec["containers"][0]["image"], spec["restartPolicy"]) == ("busybox:test", "Never")


@row(CLIENT + "Kubectl server-side dry-run should check if kubectl can dry-run update Pods")
def test_dry_run(space: Space):
    space.kubectl("run", "e2e-test-httpd-pod", "--image=busybox:test", "--", "sleep", "3600")
    image = {"spec": {"containers": [{"name": "e2e-test-httpd-pod", "image": "agnhost:test"}]}}
    said = space.kubectl("patch", "pod", "e2e-test-httpd-pod", "-p", json.dumps(image), "--dry-run=server")
    assert said.startswith("pod/e2e-test-httpd-pod patched")
    assert space.get("v1/Pod", "e2e-test-httpd-pod")["spec"]["containers"][0]["image"] == "busybox:test"


@contextmanager
def proxy(space: Space, *arguments: str) -> Iterator[str]:
    """The first line that it prints."""
    command = [KUBECTL, "proxy", *arguments]
    running = subprocess.Popen(command, env=space.environment, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield running.stdout.readline()
    finally:
        running.terminate()
        running.wait(10)


@row(CLIENT + "Proxy server should support proxy with --port 0")
def test_a_proxy_on_a_free_port(space: Space):
    with proxy(space, "-p", "0", "--disable-filter") as line:
        port = re.search(r"Starting to serve on 127\.0\.0\.1:(\d+)", line)
        assert port, line
        with urlopen(f"http://127.0.0.1:{port[1]}/api/", timeout=10) as answer:
            assert json.load(answer)["versions"] == ["v1"]


@row(CLIENT + "Proxy server should support --unix-socket=/path")
def test_a_proxy_on_a_socket(space: Space):
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "test")
        with proxy(space, f"--unix-socket={path}"):
            connection = http.client.HTTPConnection("localhost")
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(path)
            connection.request("GET", "/api/")
            assert json.load(connection.getresponse())["versions"] == ["v1"]
            connection.close()


@row(
    CLIENT + "Update Demo should create and stop a replication controller",
    CLIENT + "Update Demo should scale a replication controller",
)
def test_a_controller_is_made_scaled_and_stopped(space: Space):
    labels = {"name": "update-demo", "version": "nautilus"}
    page = 'mkdir /www; echo \'{"image": "nautilus.jpg"}\' > /www/data.json; exec httpd -f -p 80 -h /www'
    made = serving("update-demo-nautilus", labels, 2, 80, page)
    apply(space, made)

    def are(number: int) -> None:
        names = "{{range.items}}{{.metadata.name}} {{end}}"
        running = '{{if (exists . "status" "containerStatuses")}}{{range .status.containerStatuses}}'
        running += '{{if (and (eq .name "main") (exists . "state" "running"))}}true{{end}}{{end}}{{end}}'
        image = '{{if (exists . "spec" "containers")}}{{range .spec.containers}}'
        image += '{{if eq .name "main"}}{{.image}}{{end}}{{end}}{{end}}'

        def holds() -> bool:
            found = space.kubectl(
                "get", "pods", "-o", "template", f"--template={names}", "-l", "name=update-demo"
            ).split()
            assert len(found) == number
            for each in found:
                assert space.kubectl("get", "pods", each, "-o", "template", f"--template={running}") == "true"
                assert space.kubectl("get", "pods", each, "-o", "template", f"--template={image}") == "busybox:test"
                assert space.get("v1/Pod", each, sub="proxy/data.json") == {"image": "nautilus.jpg"}
            return True

        space.wait(holds)

    are(2)
    for number in (1, 2):
        space.kubectl("scale", "rc", "update-demo-nautilus", f"--replicas={number}", "--timeout=5m")
        are(number)
    text = yaml.safe_dump(made)
    space.kubectl("delete", "--grace-period=0", "--force", "-f", "-", stdin=text)
    assert space.kubectl("get", "rc,svc", "-l", "name=update-demo", "--no-headers") == ""
    space.wait(lambda: not space.list("v1/Pod"))


@row("Kubectl logs logs should be able to retrieve and filter logs")
def test_logs(space: Space):
    script = "for i in $(seq 0 99); do echo $i GET /api/v1/namespaces/default/pods/x 200; done; exec sleep 3600"
    space.run(pod("logs-generator", *shell(script)))
    lines = space.wait(lambda: len(found := space.logs("logs-generator").splitlines()) == 100 and found)
    assert all(re.match(r"\d+ (GET|PUT|POST) \S+ \d+$", line) for line in lines)
    assert space.logs("logs-generator", "main", "--tail=1") == lines[-1] + "\n"
    assert len(space.logs("logs-generator", "main", "--limit-bytes=1")) == 1
    stamped = space.logs("logs-generator", "main", "--tail=1", "--timestamps").split(" ", 1)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)$", stamped[0])
    assert stamped[1] == lines[-1] + "\n"
    space.wait(lambda: space.logs("logs-generator", "main", "--since=1s") == "")
    assert len(space.logs("logs-generator", "main", "--since=24h").splitlines()) == 100
