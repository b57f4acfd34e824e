"""Who answers a request: from a pod, from a node, from outside."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from tests.conformance.space import Obj, Space, agnhost, ready


def service(name: str, selector: Mapping[str, str] | None = None, *ports: Obj, **spec: Any) -> Obj:
    """Port 80 to 8080, unless it is said."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": list(ports) or [http()], **spec},
    }


def http(port: int = 80, target: int | str = 8080, **more: Any) -> Obj:
    return {"name": "http", "protocol": "TCP", "port": port, "targetPort": target, **more}


def udp(port: int = 80, target: int | str = 8081, **more: Any) -> Obj:
    return {"name": "udp", "protocol": "UDP", "port": port, "targetPort": target, **more}


def servers(space: Space, *names: str, **spec: Any) -> list[str]:
    """Ready pods with the label app=web; their addresses."""
    for name in names:
        space.create(agnhost(name, labels={"app": "web"}, **spec))
    space.wait(lambda: all(ready(space.get("v1/Pod", name)) for name in names))
    return [space.get("v1/Pod", name)["status"]["podIP"] for name in names]


def client(space: Space, name: str = "client", **spec: Any) -> str:
    """A pod from which `dial` asks."""
    space.run(agnhost(name, **spec))
    return name


def dial(
    space: Space,
    pod: str,
    host: str,
    port: int,
    request: str = "hostname",
    *,
    protocol: str = "http",
    tries: int = 1,
) -> list[str]:
    """What that pod is answered, in order; failures have no answer."""
    answers: Sequence[str] = _dialled(space, pod, host, port, request, protocol, tries)["responses"]
    return list(answers)


def failure(space: Space, pod: str, host: str, port: int) -> str:
    """Why that pod is not answered; empty if it is."""
    return " ".join(_dialled(space, pod, host, port, "hostname", "http", 1)["errors"])


def _dialled(space: Space, pod: str, host: str, port: int, request: str, protocol: str, tries: int) -> Obj:
    query = f"host={host}&port={port}&request={request}&protocol={protocol}&tries={tries}"
    found: Obj = space.http.get(space.path("v1/Pod", f"{pod}:8080", "proxy/dial") + f"?{query}").ok()
    return found


def reached(space: Space, pod: str, host: str, port: int, **how: Any) -> set[str]:
    """Who answers: asked often enough to see three servers."""
    return set(dial(space, pod, host, port, tries=20, **how))


def outside(address: str, port: int, path: str = "/hostname") -> str:
    """The answer to somebody who is not in the cluster. Raises LookupError if there is none."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=2) as response:
            return str(response.read().decode())
    except OSError as error:
        raise LookupError(str(error)) from error


def endpoints(space: Space, name: str) -> dict[str, list[int]]:
    """Ports by pod name, as Endpoints tell; fails unless EndpointSlices tell the same."""
    found: dict[str, list[int]] = {}
    for subset in space.get("v1/Endpoints", name).get("subsets", ()):
        for address in subset.get("addresses", ()):
            ports = [port["port"] for port in subset.get("ports", ())]
            found.setdefault(address["targetRef"]["name"], []).extend(ports)
    sliced: dict[str, list[int]] = {}
    for part in space.list("discovery.k8s.io/v1/EndpointSlice", labelSelector=f"kubernetes.io/service-name={name}"):
        for endpoint in part["endpoints"] or ():
            if endpoint["conditions"]["ready"]:
                ports = [port["port"] for port in part["ports"] or ()]
                sliced.setdefault(endpoint["targetRef"]["name"], []).extend(ports)
    assert {each: sorted(ports) for each, ports in found.items()} == {
        each: sorted(ports) for each, ports in sliced.items()
    }
    return found
