"""One authorization decision with 2,000 bindings in the cluster, allowed and refused."""

from __future__ import annotations

import asyncio
import time

from minikube.api.meta import ObjectMeta
from minikube.api.rbac_v1 import RoleBinding, RoleRef, Subject
from minikube.auth.base import Action, User
from minikube.auth.bootstrap_roles import cluster_roles
from minikube.auth.policy_rules import GROUP
from minikube.auth.rbac import RbacAuthorizer
from minikube.registry.informers import LocalInformers
from minikube.registry.local import LocalClient
from minikube.registry.registry import StoreRegistry
from minikube.resources.all import ALL
from minikube.settings import Settings
from minikube.store.memory import MemoryStore

BINDINGS, ROUNDS = 2_000, 20_000


async def run() -> None:
    registry = StoreRegistry(MemoryStore(), ALL, settings=Settings())
    await registry.start()
    running = asyncio.create_task(registry.run())
    client = LocalClient(registry, User("bench"), "bench")
    for role in cluster_roles():
        await client.create(role)
    view = RoleRef(api_group=GROUP, kind="ClusterRole", name="system:aggregate-to-view")
    for number in range(BINDINGS):
        subject = Subject(api_group=GROUP, kind="User", name=f"user-{number % 100}")
        meta = ObjectMeta(name=f"b{number}", namespace=f"n{number % 50}")
        await client.create(RoleBinding(metadata=meta, role_ref=view, subjects=(subject,)))
    authorizer = RbacAuthorizer(LocalInformers(registry))
    user = User("user-7", groups=("team", "system:authenticated"))
    for label, action in (
        ("allowed", Action("get", "", "v1", "pods", "", "n7", "x")),
        ("refused", Action("delete", "", "v1", "pods", "", "n7", "x")),
    ):
        began = time.perf_counter()
        for _ in range(ROUNDS):
            authorizer.authorize(user, action)
        print(f"rbac: {label} in {(time.perf_counter() - began) / ROUNDS * 1e6:.1f} µs, {BINDINGS:,} bindings")
    running.cancel()
