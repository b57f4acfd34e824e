"""A program in a pod: the kubernetes Python client with its in-cluster configuration, and what RBAC gives it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest

from tests.images import debian_archive
from tests.machines import Machine, Network

pytestmark = [pytest.mark.node, pytest.mark.timeout(180)]

PACKAGES = str(Path(kubernetes.__file__).parents[1])
PROGRAM = """
import json, os
from kubernetes import client, config, watch
config.load_incluster_config()
core, namespace = client.CoreV1Api(), open("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read()
told = {"host": client.Configuration.get_default_copy().host}
told["pods"] = [pod.metadata.name for pod in core.list_namespaced_pod(namespace).items]
stream = watch.Watch().stream(core.list_namespaced_pod, namespace, timeout_seconds=5)
told["watched"] = next(stream)["object"].metadata.name
review = client.AuthenticationV1Api().create_self_subject_review({})
told["user"] = review.status.user_info.to_dict()
def refused(call, *arguments):
    try:
        return call(*arguments)
    except client.ApiException as error:
        return [error.status, json.loads(error.body)["message"]]
told["secrets"] = refused(core.list_namespaced_secret, namespace)
told["others"] = refused(core.list_namespaced_pod, "kube-system")
told["delete"] = refused(core.delete_namespaced_pod, os.environ["HOSTNAME"], namespace)
rules = client.AuthorizationV1Api().create_self_subject_rules_review({"spec": {"namespace": namespace}})
told["rules"] = [rule.verbs for rule in rules.status.resource_rules if rule.resources == ["pods"]]
print(json.dumps(told))
"""


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Network(f"i{os.getpid()}") as network:
        found = network.machine()
        debian_archive(found.root / "data/agent/images/python.tar", "python:test", ("python3",))
        found.serve()
        yield found


def test_a_pods_program_may_do_what_its_account_may_and_nothing_else(machine: Machine) -> None:
    machine.kubectl("create", "serviceaccount", "reader")
    machine.kubectl("create", "role", "reader", "--verb=get,list,watch", "--resource=pods")
    machine.kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "program"},
        "spec": {
            "serviceAccountName": "reader",
            "restartPolicy": "Never",
            "volumes": [{"name": "packages", "hostPath": {"path": PACKAGES, "type": "Directory"}}],
            "containers": [
                {
                    "name": "c",
                    "image": "python:test",
                    "command": ["python3", "-c", PROGRAM],
                    "env": [{"name": "PYTHONPATH", "value": "/packages"}],
                    "volumeMounts": [{"name": "packages", "mountPath": "/packages", "readOnly": True}],
                }
            ],
        },
    }
    machine.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    assert (machine.root / "data/agent").stat().st_mode & 0o777 == 0o700, "its token is no other user's"
    phase = ("get", "pod", "program", "-o", "jsonpath={.status.phase}")
    machine.wait(lambda: machine.kubectl(*phase) in ("Succeeded", "Failed"), 60)
    said = machine.kubectl("logs", "program")
    assert machine.kubectl(*phase) == "Succeeded", said
    told = json.loads(said)
    me = "system:serviceaccount:default:reader"
    assert told["host"] == "https://10.43.0.1:443"
    assert told["pods"] == ["program"]
    assert told["watched"] == "program"
    assert told["user"]["username"] == me
    assert told["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["program"]
    assert told["rules"] == [["get", "list", "watch"]]
    cannot = f'is forbidden: User "{me}" cannot'
    where = 'in API group "" in the namespace'
    assert told["secrets"] == [403, f'secrets {cannot} list resource "secrets" {where} "default"']
    assert told["others"] == [403, f'pods {cannot} list resource "pods" {where} "kube-system"']
    assert told["delete"] == [403, f'pods "program" {cannot} delete resource "pods" {where} "default"']
