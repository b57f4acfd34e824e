"""Webhooks over HTTPS, as upstream's agnhost serves them: a path is what happens. In the image, beside agnhost.py.

`/webhooks.py CERTIFICATE KEY PORT`: admission reviews and conversion reviews.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

from tls_json import Handler, Tree, serve


def refuse(why: str) -> Tree:
    return {"allowed": False, "status": {"message": why, "reason": why}}


def patched(*operations: Tree) -> Tree:
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def always_deny(asked: Tree) -> Tree:
    return refuse("this webhook denies all requests")


def delayed(asked: Tree) -> Tree:
    time.sleep(5)
    return {"allowed": True}


def pods(asked: Tree) -> Tree:
    """Denies what is labelled so; hangs if it is to."""
    pod = asked["object"]
    labels = pod["metadata"].get("labels", {})
    if labels.get("webhook-e2e-test") == "webhook-disallow" or any(
        each["name"] == "some-container" for each in pod["spec"]["containers"]
    ):
        return refuse("the pod contains unwanted container name")
    if labels.get("webhook-e2e-test") == "wait-forever":
        time.sleep(60)
    return {"allowed": True}


def attach(asked: Tree) -> Tree:
    to = asked["object"]
    if asked["name"] == "to-be-attached-pod" and to.get("container") == "container1":
        return refuse("attaching to pod 'to-be-attached-pod' is not allowed")
    return {"allowed": True}


def mutating_pods(asked: Tree) -> Tree:
    container = {
        "image": "busybox:test",
        "name": "webhook-added-init-container",
        "command": ["true"],
        "resources": {},
    }
    return patched({"op": "add", "path": "/spec/initContainers", "value": [container]})


def data(asked: Tree) -> Tree:
    """Denies configmaps and custom resources with data that is unwanted; deletion looks at the old object."""
    shown = asked.get("object") or asked.get("oldObject")
    if asked["resource"]["resource"] == "configmaps" and asked["operation"] == "DELETE":
        return {"allowed": True}
    for key, value in (shown.get("data") or {}).items():
        if key == "webhook-e2e-test" and value == "webhook-disallow":
            return refuse(CONFIG if asked["kind"]["kind"] == "ConfigMap" else CUSTOM)
    return {"allowed": True}


CONFIG = "the configmap contains unwanted key and value"
CUSTOM = "the custom resource contains unwanted data"


def mutate_data(asked: Tree) -> Tree:
    """Each stage adds the next if the former is there: the order of webhooks shows."""
    present = asked["object"].get("data") or {}
    if present.get("mutation-stage-1") == "yes" and "mutation-stage-2" not in present:
        return patched({"op": "add", "path": "/data/mutation-stage-2", "value": "yes"})
    if present.get("mutation-start") == "yes" and "mutation-stage-1" not in present:
        return patched({"op": "add", "path": "/data/mutation-stage-1", "value": "yes"})
    return {"allowed": True}


def add_label(asked: Tree) -> Tree:
    if asked["object"]["metadata"].get("labels"):
        return patched({"op": "add", "path": "/metadata/labels/added-label", "value": "yes"})
    return patched({"op": "add", "path": "/metadata/labels", "value": {"added-label": "yes"}})


def definitions(asked: Tree) -> Tree:
    labels = asked["object"]["metadata"].get("labels", {})
    if labels.get("webhook-e2e-test") == "webhook-disallow":
        return refuse("the crd contains unwanted label")
    return {"allowed": True}


PATHS: dict[str, Callable[[Tree], Tree]] = {
    "/always-deny": always_deny,
    "/always-allow-delay-5s": delayed,
    "/add-label": add_label,
    "/pods": pods,
    "/pods/attach": attach,
    "/mutating-pods": mutating_pods,
    "/configmaps": data,
    "/mutating-configmaps": mutate_data,
    "/custom-resource": data,
    "/mutating-custom-resource": mutate_data,
    "/crd": definitions,
}


def convert(asked: Tree) -> Tree:
    """v1 has hostPort, v2 host and port; names and labels say what else to do to provoke the server."""
    wanted = asked["desiredAPIVersion"]
    done = []
    for each in asked["objects"]:
        if each["apiVersion"] == wanted:
            return failed(f"conversion from a version to itself should not call the webhook: {wanted}")
        new = {**each, "apiVersion": wanted, "metadata": dict(each["metadata"])}
        mode = (each["metadata"].get("labels") or {}).get("mode")
        if mode == "fail":
            return failed("told to fail")
        if mode == "rename":
            new["metadata"]["name"] = "somebody-else"
        if mode == "metadata":
            new["metadata"]["labels"] = {**each["metadata"]["labels"], "converted": "true"}
            new["metadata"]["finalizers"] = ["not.example.com/wanted"]
        if wanted.endswith("/v2") and "hostPort" in new:
            new["host"], _, new["port"] = new.pop("hostPort").partition(":")
        elif wanted.endswith("/v1") and ("host" in new or "port" in new):
            new["hostPort"] = f"{new.pop('host', '')}:{new.pop('port', '')}"
        done.append(new)
    return {"result": {"status": "Success"}, "convertedObjects": done}


def failed(why: str) -> Tree:
    return {"result": {"status": "Failure", "message": why}}


class Webhooks(Handler):
    def do_GET(self) -> None:
        self.say(200, {"ready": True})

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked, path = review["request"], self.path.partition("?")[0]
        said = convert(asked) if path == "/crdconvert" else PATHS[path](asked)
        response = {"uid": asked["uid"], **said}
        self.say(200, {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})


if __name__ == "__main__":
    serve(Webhooks)
