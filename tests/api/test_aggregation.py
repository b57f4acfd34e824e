"""An API that another server serves is part of this one: for clients, documents, namespaces and new CAs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Cluster
from tests.api.extension import GROUP, META, VERSION, Gadgets, gadgets
from tests.api.raw import Http

NAME = f"{VERSION}.{GROUP}"


def gadget(name: str) -> str:
    return json.dumps({"apiVersion": f"{GROUP}/{VERSION}", "kind": "Gadget", "metadata": {"name": name}, "size": 3})


@pytest.fixture
def extension(own: Cluster, tmp_path: Path) -> Iterator[Gadgets]:
    own.wait(lambda: own.run("get", "serviceaccount", "default").returncode == 0)
    with gadgets(own, "default", tmp_path) as server:
        yield server


def conditions(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found = json.loads(cluster.kubectl("get", "namespace", namespace, "-o", "json"))
    return {each["type"]: each for each in found["status"].get("conditions", ())}


def test_another_servers_api_is_part_of_this_one(own: Cluster, extension: Gadgets):
    """One walk on one server: each step needs what the one before left."""
    http = Http(own.kubeconfig)
    own.kubectl("create", "namespace", "going")
    for namespace in ("default", "going"):
        assert "gadget.gadgets.example.com/a created" in own.kubectl(
            "-n", namespace, "create", "--validate=false", "-f", "-", stdin=gadget("a")
        )
    assert "gadgets" in own.kubectl("api-resources", f"--api-group={GROUP}")
    assert "a" in own.kubectl("get", "gg", "-o", "name")

    # Both documents: what it serves, under names that are not taken, and no more than that.
    for accept in ("application/json", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"):
        assert b"com.example.Gadget" in http.get("/openapi/v2", headers={"Accept": accept}).body
    document = http.get("/openapi/v2").ok()
    assert f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/gadgets" in document["paths"]
    shown = document["definitions"]["com.example.Gadget"]["properties"]["metadata"]["$ref"]
    assert document["definitions"][shown.rpartition("/")[2]]["description"] == "Not what the cluster says of it."
    assert shown.endswith(f"{META}_v2")
    assert "unused" not in document["definitions"]

    # A namespace takes along what the other server keeps in it.
    own.kubectl("delete", "namespace", "going", "--timeout=20s")
    assert list(extension.objects) == [("default", "a")]
    assert "system:serviceaccount:kube-system:namespace-controller" in extension.users

    # A new CA for front proxies: the other server, which knows only the old one, goes on believing us.
    environment = {
        **os.environ,
        "MINIKUBE_DATA_DIR": str(own.root / "data"),
        "MINIKUBE_RUN_DIR": str(own.root / "run"),
    }
    before = published(own)
    rotate = [sys.executable, "-m", "minikube", "certificate", "rotate-ca"]
    subprocess.run(rotate, env=environment, check=True, capture_output=True, timeout=60)
    own.wait(lambda: published(own).count("BEGIN") == 2)
    assert published(own).endswith(before)
    own.wait(lambda: own.run("get", "gg", "a").returncode == 0)
    own.kubectl("wait", "--for=condition=Available", f"apiservice/{NAME}", "--timeout=20s")

    # It goes down: everything else stays as it was, and a namespace waits for it, saying so.
    extension.shutdown()
    extension.server_close()
    own.kubectl("create", "namespace", "waiting")
    own.kubectl("wait", "--for=condition=Available=False", f"apiservice/{NAME}", "--timeout=60s")
    assert "the server is currently unable to handle the request" in own.refused("get", "gg")
    assert "pods" in own.run("api-resources").stdout
    own.kubectl("delete", "namespace", "waiting", "--wait=false")
    own.wait(
        lambda: conditions(own, "waiting").get("NamespaceDeletionDiscoveryFailure", {}).get("status") == "True"
    )
    told = conditions(own, "waiting")["NamespaceDeletionDiscoveryFailure"]
    assert (told["reason"], told["message"]) == (
        "DiscoveryFailed",
        "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: "
        f"{GROUP}/{VERSION}: stale GroupVersion discovery: {GROUP}/{VERSION}",
    )
    own.kubectl("delete", "apiservice", NAME)
    own.kubectl("wait", "--for=delete", "namespace/waiting", "--timeout=30s")


def published(cluster: Cluster) -> str:
    """The CAs that front proxies may be of."""
    return cluster.kubectl(
        "-n", "kube-system", "get", "configmap", "extension-apiserver-authentication", "-o",
        "jsonpath={.data.requestheader-client-ca-file}",
    )  # fmt: skip
