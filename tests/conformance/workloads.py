"""Workloads as the upstream suite makes them, with busybox, and the checks that all their kinds share."""

from __future__ import annotations

from typing import Any

from tests.api.raw import MERGE, STRATEGIC
from tests.conformance.space import POD_START, Obj, Space, ready, shell

WEB = "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www"


def template(labels: dict[str, str], *command: str, container: Obj | None = None, **spec: Any) -> Obj:
    """Of a pod with one container `main`; `container` has further fields of it, `spec` of the pod."""
    main = {
        "name": "main",
        "image": "busybox:test",
        "command": list(command or ("sleep", "3600")),
        **(container or {}),
    }
    return {
        "metadata": {"labels": {**labels}},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 0, **spec},
    }


def web(labels: dict[str, str], **spec: Any) -> Obj:
    """A server of /index.html whose readiness is that page."""
    probe = {"httpGet": {"path": "/index.html", "port": 80}, "periodSeconds": 1, "failureThreshold": 1}
    container = {"ports": [{"containerPort": 80}], "readinessProbe": probe}
    return template(labels, *shell(WEB), container=container, **spec)


def break_web(space: Space, pod: str) -> None:
    space.exec(pod, "mv", "/www/index.html", "/www/away")


def mend_web(space: Space, pod: str) -> None:
    space.exec(pod, "mv", "/www/away", "/www/index.html")


def workload(kind: str, name: str, labels: dict[str, str], pods: Obj, **spec: Any) -> Obj:
    """A controller of these pods; the labels are its own, too, and its selector."""
    selector = {**labels} if kind == "v1/ReplicationController" else {"matchLabels": {**labels}}
    version, _, short = kind.rpartition("/")
    return {
        "apiVersion": version,
        "kind": short,
        "metadata": {"name": name, "labels": {**labels}},
        "spec": {"selector": selector, "template": pods, **spec},
    }


def pods_of(space: Space, labels: dict[str, str]) -> list[Obj]:
    """In the order of their names."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return sorted(space.list("v1/Pod", labelSelector=selector), key=lambda pod: pod["metadata"]["name"])


def wait_pods(space: Space, labels: dict[str, str], number: int, seconds: float = POD_START) -> list[Obj]:
    """Until there are so many, all ready and none going."""

    def settled() -> list[Obj]:
        pods = pods_of(space, labels)
        assert [ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in pods] == [True] * number
        return pods

    found: list[Obj] = space.wait(lambda: (settled(), True)[1] and [settled()], seconds)[0]
    return found


def observed(space: Space, kind: str, name: str, **status: Any) -> Obj:
    """The object once its controller has seen its last change and says this of it (0: absent)."""

    def holds() -> Obj:
        obj = space.get(kind, name)
        assert obj["status"].get("observedGeneration") == obj["metadata"]["generation"], obj["status"]
        assert {field: obj["status"].get(field, 0) for field in status} == status
        return obj

    found: Obj = space.wait(holds)
    return found


def condition_of(obj: Obj, type: str) -> Obj:
    """The whole condition, or nothing."""
    return next((one for one in obj["status"].get("conditions", ()) if one["type"] == type), {})


def owner(obj: Obj) -> str:
    """Uid of its controller."""
    return next((one["uid"] for one in obj["metadata"].get("ownerReferences", ()) if one.get("controller")), "")


def check_scale(space: Space, kind: str, name: str) -> None:
    """The scale subresource: read as 1, put to 2, patched to 4; each seen in the spec."""
    scale = space.get(kind, name, sub="scale")
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    space.wait(lambda: space.get(kind, name, sub="scale")["status"]["replicas"] == 1)
    scale["metadata"].pop("resourceVersion")
    scale["spec"]["replicas"] = 2
    assert space.ask("PUT", kind, name, scale, sub="scale").ok()["spec"]["replicas"] == 2
    assert space.get(kind, name)["spec"]["replicas"] == 2
    # What a typed client marshals: nulls and empty structs beside the one field.
    patch = {"metadata": {"creationTimestamp": None}, "spec": {"replicas": 4}, "status": {"replicas": 0}}
    space.patch(kind, name, patch, type=STRATEGIC, sub="scale")
    assert space.get(kind, name)["spec"]["replicas"] == 4


def check_status(space: Space, kind: str, name: str) -> None:
    """The status subresource: read, put with one more condition, patched; each seen by a watch."""
    since = space.version(kind)
    space.patch(kind, name, {"metadata": {"labels": {"e2e": "testing"}}}, type=STRATEGIC)
    assert space.get(kind, name, sub="status")["metadata"]["name"] == name

    def put() -> Any:
        obj = space.get(kind, name)
        one = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
        obj["status"].setdefault("conditions", []).append(one)
        return space.update(obj, sub="status")

    space.wait(put)
    space.until(
        kind,
        lambda obj: condition_of(obj, "StatusUpdate").get("message") == "Set from e2e test",
        since=since,
        labelSelector="e2e=testing",
    )
    patch = {"status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}}
    space.patch(kind, name, patch, type=MERGE, sub="status")
    space.until(kind, lambda obj: condition_of(obj, "StatusPatched"), since=since, labelSelector="e2e=testing")


def check_collection(space: Space, kind: str, selector: str) -> None:
    """One object of all namespaces has these labels; a deletion of that collection leaves none."""
    everywhere = space.path(kind).replace(f"namespaces/{space.name}/", "")
    query = f"?labelSelector={selector}"
    assert len(space.http.get(everywhere + query).ok()["items"]) == 1
    space.ask("DELETE", kind, body={"gracePeriodSeconds": 1}, query={"labelSelector": selector}).ok()
    space.wait(lambda: not space.http.get(everywhere + query).ok()["items"])
