"""Bootstrap roles and bindings are put right at every start: what is missing is added, what is more stays, and what
is annotated rbac.authorization.kubernetes.io/autoupdate=false is left alone.

Rules: kubernetes staging/src/k8s.io/component-helpers/auth/rbac/reconciliation.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec

from minikube.api.meta import ObjectMeta, T
from minikube.api.meta_v1 import LabelSelector
from minikube.api.rbac_v1 import AggregationRule, ClusterRole, ClusterRoleBinding, Role, RoleBinding
from minikube.auth import bootstrap_roles
from minikube.auth.bootstrap_roles import AUTOUPDATE
from minikube.auth.coverage import compact, uncovered
from minikube.client.base import Client
from minikube.errors import NotFound

AnyRole = TypeVar("AnyRole", bound=ClusterRole | Role)
AnyBinding = TypeVar("AnyBinding", bound=ClusterRoleBinding | RoleBinding)
CONCURRENT = 32


async def ensure_bootstrap_roles(client: Client) -> None:
    """Several at a time, so that the store commits them in groups."""
    slots = asyncio.Semaphore(CONCURRENT)

    async def ensure(obj: ClusterRole | Role | ClusterRoleBinding | RoleBinding) -> None:
        async with slots:
            if isinstance(obj, ClusterRole | Role):
                await _ensure_role(client, obj)
            else:
                await _ensure_binding(client, obj)

    async with asyncio.TaskGroup() as tasks:
        for declared in (
            bootstrap_roles.cluster_roles(),
            bootstrap_roles.cluster_role_bindings(),
            bootstrap_roles.roles(),
            bootstrap_roles.role_bindings(),
        ):
            for obj in declared:
                tasks.create_task(ensure(obj))


def reconciled_role(present: AnyRole, wanted: AnyRole) -> AnyRole:
    """`present` with every right, label and selector of `wanted`."""
    if present.metadata.annotations.get(AUTOUPDATE) == "false":
        return present
    changed = msgspec.structs.replace(present, metadata=_metadata(present, wanted))
    if isinstance(wanted, ClusterRole) and wanted.aggregation_rule is not None:
        aggregation = AggregationRule(cluster_role_selectors=_selectors(present, wanted.aggregation_rule))
        return msgspec.structs.replace(changed, aggregation_rule=aggregation)
    missing = compact(uncovered(present.rules, wanted.rules))
    return msgspec.structs.replace(changed, rules=(*present.rules, *missing))


def _selectors(present: ClusterRole | Role, wanted: AggregationRule) -> tuple[LabelSelector, ...]:
    rule = present.aggregation_rule if isinstance(present, ClusterRole) else None
    there = rule.cluster_role_selectors if rule is not None else ()
    return (*there, *(one for one in wanted.cluster_role_selectors if one not in there))


def reconciled_binding(present: AnyBinding, wanted: AnyBinding) -> AnyBinding:
    """`present` with every subject of `wanted`. The caller sees to a different roleRef."""
    if present.metadata.annotations.get(AUTOUPDATE) == "false":
        return present
    more = tuple(subject for subject in wanted.subjects if subject not in present.subjects)
    return msgspec.structs.replace(
        present, metadata=_metadata(present, wanted), subjects=(*present.subjects, *more)
    )


def _metadata(
    present: ClusterRole | Role | ClusterRoleBinding | RoleBinding,
    wanted: ClusterRole | Role | ClusterRoleBinding | RoleBinding,
) -> ObjectMeta:
    return msgspec.structs.replace(
        present.metadata,
        labels={**wanted.metadata.labels, **present.metadata.labels},
        annotations={**wanted.metadata.annotations, **present.metadata.annotations},
    )


async def _ensure_role(client: Client, wanted: ClusterRole | Role) -> None:
    present = await _found_or_made(client, wanted)
    changed = reconciled_role(present, wanted)
    if changed != present:
        await client.update(changed)


async def _ensure_binding(client: Client, wanted: ClusterRoleBinding | RoleBinding) -> None:
    present = await _found_or_made(client, wanted)
    if present.role_ref != wanted.role_ref and present.metadata.annotations.get(AUTOUPDATE) != "false":
        meta = present.metadata
        await client.delete(type(wanted), meta.name, meta.namespace, uid=meta.uid)
        await client.create(wanted)
        return
    changed = reconciled_binding(present, wanted)
    if changed != present:
        await client.update(changed)


async def _found_or_made(client: Client, wanted: T) -> T:
    try:
        return await client.get(type(wanted), wanted.metadata.name, wanted.metadata.namespace)
    except NotFound:
        return await client.create(wanted)
