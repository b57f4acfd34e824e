"""pods/eviction: admission sees an Eviction that is made."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from minikube.admission.base import Attributes
from minikube.admission.chain import Chain
from minikube.api.core_v1 import Pod
from minikube.api.meta import ObjectMeta
from minikube.auth.base import User
from minikube.errors import Forbidden, NotFound
from minikube.registry.base import Request
from minikube.registry.eviction import evict
from tests.fakes.cluster import Cluster, template

EVICTION: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}


class Guard:
    """Refuses evictions of some users."""

    name: ClassVar[str] = "Guard"

    async def validate(self, request: Attributes) -> None:
        about = (request.operation, request.resource.plural, request.subresource)
        if about == ("CREATE", "pods", "eviction") and request.user.name == "intruder":
            assert request.object is not None
            assert request.object["kind"] == "Eviction"
            raise Forbidden.of("pods", "", request.name, "not by you")


async def test_an_eviction_is_admitted_before_anything_happens() -> None:
    cluster = await Cluster.open()
    await cluster.client.create(Pod(metadata=ObjectMeta(name="p", namespace="default"), spec=template().spec))
    cluster.registry.use_admission(Chain([Guard()]))
    with pytest.raises(Forbidden, match="not by you"):
        await evict(cluster.registry, "default", "p", dict(EVICTION), Request(user=User("intruder")))
    assert (await cluster.client.get(Pod, "p", "default")).metadata.deletion_timestamp is None
    await evict(cluster.registry, "default", "p", dict(EVICTION), Request(user=User("somebody")))
    with pytest.raises(NotFound):
        await cluster.client.get(Pod, "p", "default")


async def test_all_plugins_let_an_eviction_pass() -> None:
    cluster = await Cluster.open()
    await cluster.client.create(Pod(metadata=ObjectMeta(name="p", namespace="default"), spec=template().spec))
    cluster.admit()
    await evict(cluster.registry, "default", "p", dict(EVICTION), Request(user=User("somebody")))
    with pytest.raises(NotFound):
        await cluster.client.get(Pod, "p", "default")
