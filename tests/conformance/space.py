"""A namespace of the cluster and what a test does in it: objects as plain JSON over HTTP, kubectl for streams."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.api.raw import MERGE, Answer, Http
from tests.conformance.site import Site
from tests.conformance.wire import GoHttp
from tests.machines import KUBECTL, Failed

Obj = dict[str, Any]
IMAGE = "busybox:test"
AGNHOST = "agnhost:test"
COUNTER = itertools.count()
POD_START = 300
"""Seconds that the upstream suite waits for a pod: a container with 10m of CPU starts for half a minute."""


class Space:
    """Kinds are said as `v1/Pod` or `apps/v1/Deployment`. A verb fails unless the answer is as expected."""

    def __init__(self, site: Site, http: Http, name: str) -> None:
        self.site, self.http, self.name = site, http, name
        self._resources: dict[str, tuple[str, bool]] = {}

    @classmethod
    @contextmanager
    def made(cls, site: Site, labels: Mapping[str, str] | None = None) -> Iterator[Space]:
        """A new namespace, whose default service account is there; deleted in the background afterwards."""
        space = cls(site, GoHttp(Path(site.kubeconfig)), f"t{os.getpid()}-{next(COUNTER)}")
        space.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space.name, "labels": labels or {}}}
        )
        space.wait(lambda: space.ask("GET", "v1/ServiceAccount", "default").code == 200)
        try:
            yield space
        finally:
            space.ask("DELETE", "v1/Namespace", space.name)

    def another(self) -> Space:
        """Another namespace name of this test; the test makes and deletes it."""
        return Space(self.site, self.http, f"{self.name}-{next(COUNTER)}")

    # ---- verbs ---------------------------------------------------------------------------------------

    def path(self, kind: str, name: str = "", sub: str = "", **query: Any) -> str:
        """URL path of a kind's collection, or of one object (of this namespace, if the kind has namespaces)."""
        version, _, _ = kind.rpartition("/")
        resource, namespaced = self._resource(kind)
        parts = ["/apis" if "/" in version else "/api", version]
        parts += [f"namespaces/{self.name}"] if namespaced else []
        parts += [part for part in (resource, name, sub) if part]
        return "/".join(parts) + (f"?{urlencode(query)}" if query else "")

    def _resource(self, kind: str) -> tuple[str, bool]:
        if kind not in self._resources:
            version, _, _ = kind.rpartition("/")
            found = self.http.get(("/apis/" if "/" in version else "/api/") + version).ok()["resources"]
            for each in found:
                if "/" not in each["name"]:
                    self._resources[f"{version}/{each['kind']}"] = each["name"], each["namespaced"]
        return self._resources[kind]

    def ask(self, method: str, kind: str, name: str = "", body: Any = None, *, sub: str = "", **how: Any) -> Answer:
        """Any verb, any answer. `how`: query=, type=, accept=, headers=."""
        query = how.pop("query", {})
        return self.http.ask(method, self.path(kind, name, sub, **query), body, **how)

    def create(self, what: Obj | str, **how: Any) -> Obj:
        """One object, or the YAML of one."""
        made = yaml.safe_load(what) if isinstance(what, str) else what
        return self.ask("POST", kind_of(made), body=made, **how).ok(201)

    def get(self, kind: str, name: str, **how: Any) -> Obj:
        return self.ask("GET", kind, name, **how).ok()

    def list(self, kind: str, **query: Any) -> list[Obj]:
        return self.ask("GET", kind, query=query).ok()["items"]

    def update(self, obj: Obj, **how: Any) -> Obj:
        return self.ask("PUT", kind_of(obj), obj["metadata"]["name"], obj, **how).ok()

    def patch(self, kind: str, name: str, body: Any, *, type: str = MERGE, **how: Any) -> Obj:
        return self.ask("PATCH", kind, name, body, type=type, **how).ok()

    def delete(self, kind: str, name: str, body: Any = None, **how: Any) -> Obj:
        answer = self.ask("DELETE", kind, name, body, **how)
        return answer.ok(202 if answer.code == 202 else 200)

    def version(self, kind: str) -> str:
        """The revision from which a watch sees all that comes."""
        return str(self.ask("GET", kind, query={"limit": 1}).ok()["metadata"]["resourceVersion"])

    def until(
        self,
        kind: str,
        holds: Callable[[Obj], Any],
        *,
        since: str,
        type: str = "",
        seconds: float = POD_START,
        **query: Any,
    ) -> Obj:
        """The first object in an event of that type (any if none) after that version for which `holds`."""
        seen = []
        for event in self.watch(kind, seconds, resourceVersion=since, **query):
            if type in ("", event["type"]) and holds(event["object"]):
                found: Obj = event["object"]
                return found
            seen.append(f"{event['type']} {event['object']['metadata']['name']}")
        raise AssertionError(f"{kind}: {type or 'event'} not seen, but {seen}")

    def gone(self, kind: str, name: str) -> bool:
        return self.ask("GET", kind, name).code == 404

    def watch(self, kind: str, seconds: float = 30, **query: Any) -> Iterator[Obj]:
        """Events as they come, from here on; the watch is open when this returns."""
        return self.http.stream(self.path(kind, watch=1, timeoutSeconds=int(seconds), **query), seconds)

    # ---- time ----------------------------------------------------------------------------------------

    def wait(self, holds: Callable[[], Any], seconds: float = POD_START) -> Any:
        """What `holds` returns once that is true; a failed assertion in it counts as not yet."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if found := holds():
                    return found
                why = "never held"
            except (AssertionError, Failed, LookupError) as error:
                why = str(error)
            assert time.monotonic() < deadline, why
            time.sleep(0.05)

    def stays(self, holds: Callable[[], Any], seconds: float) -> None:
        """It holds all the time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert holds()
            time.sleep(0.1)

    # ---- pods ----------------------------------------------------------------------------------------

    def run(self, what: Obj | str, seconds: float = POD_START) -> Obj:
        """Creates a pod and waits until it is Ready."""
        name = self.create(what)["metadata"]["name"]
        return self.wait(lambda: ready(pod := self.get("v1/Pod", name)) and pod, seconds)

    def finish(self, what: Obj | str, *, phase: str = "Succeeded", seconds: float = POD_START) -> Obj:
        """Creates a pod and waits until it has ended in that phase."""
        name = self.create(what)["metadata"]["name"]
        self.wait(lambda: self.get("v1/Pod", name)["status"]["phase"] in ("Succeeded", "Failed"), seconds)
        pod = self.get("v1/Pod", name)
        assert pod["status"]["phase"] == phase, pod["status"]
        return pod

    def output(self, what: Obj | str, *, phase: str = "Succeeded") -> str:
        """What a pod printed that ran to its end."""
        return self.logs(self.finish(what, phase=phase)["metadata"]["name"])

    def logs(self, pod: str, *options: str) -> str:
        """As kubectl prints it; without options asked for directly, which takes a tenth of the time."""
        if options:
            return self.kubectl("logs", pod, *options)
        return _text(self.ask("GET", "v1/Pod", pod, sub="log"))

    def exec(self, pod: str, *command: str, container: str = "") -> str:
        """What it printed. Raises Failed."""
        return self.kubectl("exec", pod, *(["-c", container] if container else []), "--", *command)

    def events(self, name: str) -> list[Obj]:
        """Of the object with that name."""
        return self.list("v1/Event", fieldSelector=f"involvedObject.name={name}")

    # ---- kubectl -------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = 60) -> str:
        """In this namespace; its standard output. Raises Failed."""
        done = self.try_kubectl(*arguments, stdin=stdin, timeout=timeout)
        if done.returncode:
            raise Failed(
                f"kubectl {' '.join(arguments)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return done.stdout

    def try_kubectl(
        self, *arguments: str, stdin: str = "", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        command = [KUBECTL, "-n", self.name, *arguments]
        return subprocess.run(
            command, env=self.environment, input=stdin, capture_output=True, text=True, timeout=timeout
        )

    @cached_property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": self.site.kubeconfig}


def _text(answer: Answer) -> str:
    assert answer.code == 200, answer.body
    return answer.body.decode()


def kind_of(obj: Mapping[str, Any]) -> str:
    return f"{obj['apiVersion']}/{obj['kind']}"


def ready(pod: Mapping[str, Any]) -> bool:
    return condition(pod, "Ready") == "True"


def condition(obj: Mapping[str, Any], type: str) -> str:
    """Its status, or nothing."""
    found = obj.get("status", {}).get("conditions", ())
    return next((each["status"] for each in found if each["type"] == type), "")


def pod(name: str = "pod", *command: str, image: str = IMAGE, **spec: Any) -> Obj:
    """One container `main` that runs the command (default: sleeps); `spec` has further fields, or others."""
    main = {"name": "main", "image": image, "command": list(command or ("sleep", "3600"))}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 0, "restartPolicy": "Never", **spec},
    }


def agnhost(name: str, *arguments: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Obj:
    """A pod that runs image/agnhost.py with these arguments (default: netexec, which is Ready once it listens)."""
    made = pod(name, "python3", "/agnhost.py", *(arguments or ("netexec",)), image=AGNHOST, **spec)
    made["metadata"]["labels"] = dict(labels or {})
    if "netexec" in made["spec"]["containers"][0]["command"]:
        made["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    return made


def shell(script: str) -> Sequence[str]:
    return ("sh", "-c", script)
