"""pods/eviction: a deletion that disruption budgets may refuse. Rules: registry/core/pod/storage.EvictionREST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from minikube.admission.base import Attributes
from minikube.api import time
from minikube.api.core_v1 import Pod
from minikube.api.policy_v1 import PodDisruptionBudget
from minikube.api.selectors import matches
from minikube.client.base import PatchType
from minikube.errors import BadRequest, Conflict, Forbidden, InternalError, NotFound, Timeout, TooManyRequests
from minikube.registry.base import DeleteOptions, ListOptions, Request, Selection
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind

if TYPE_CHECKING:
    from minikube.registry.registry import StoreRegistry

MOST_DISRUPTED = 2000
"""Evictions that the disruption controller has not confirmed yet (MaxDisruptedPodSize)."""
RETRIES = 20
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_PLURAL = "poddisruptionbudgets"


async def evict(
    registry: StoreRegistry, namespace: str, name: str, eviction: dict[str, Any], request: Request
) -> None:
    """Raises TooManyRequests when the pod's budget allows no disruption now."""
    if ((eviction.get("metadata") or {}).get("name") or name) != name:
        raise BadRequest("name in URL does not match name in Eviction object")
    await _admit(registry, namespace, name, eviction, request)
    options = _options(eviction)
    if options.dry_run and not request.dry_run:
        request = msgspec.structs.replace(request, dry_run=True)
    pods = _kind(registry, "", "pods")
    for _ in range(RETRIES):
        stored = await registry.get(pods, namespace, name)
        try:
            await _evict_once(registry, pods, stored, options, request)
        except Conflict:
            if options.preconditions:
                raise
        else:
            return
    raise Timeout(f'couldn\'t evict pod "{name}" due to conflicts', retry_after=10)


async def _admit(
    registry: StoreRegistry, namespace: str, name: str, eviction: dict[str, Any], request: Request
) -> None:
    """As the creation of an Eviction, which mutators may change."""
    attributes = Attributes(
        "CREATE",
        Pod.resource,
        "eviction",
        namespace,
        name,
        eviction,
        None,
        request.user,
        dry_run=request.dry_run,
        warnings=request.warnings,
        annotations=request.annotations,
    )
    await registry.admission.mutate(attributes)
    await registry.admission.validate(attributes)


async def _evict_once(
    registry: StoreRegistry, pods: Kind, stored: StoredObject, options: DeleteOptions, request: Request
) -> None:
    """Raises Conflict when the pod or its budget changed meanwhile."""
    pod: Pod = stored.typed()  # type: ignore[assignment]
    budget, unguarded = None, _beyond_budgets(pod)
    if not unguarded:
        budget = await _budget_of(registry, pod)
        if budget is not None and (unguarded := _unhealthy(pod, budget)) is False:
            await _take_one(registry, budget, pod, request)
    if unguarded and not _ended(pod) and not options.preconditions.get("resourceVersion"):
        # It must not have become ready since.
        options = _at_revision(options, pod.metadata.resource_version)
    if not request.dry_run:
        options = await _announce(registry, pods, pod, options, request)
    await registry.delete(pods, pod.metadata.namespace, pod.metadata.name, options, request)


def _beyond_budgets(pod: Pod) -> bool:
    """No budget guards what is not running (canIgnorePDB)."""
    return pod.status.phase in ("Succeeded", "Failed", "Pending") or pod.metadata.deletion_timestamp is not None


def _ended(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed") or pod.metadata.deletion_timestamp is not None


def _unhealthy(pod: Pod, budget: PodDisruptionBudget) -> bool:
    """A pod that is not ready does not count as healthy, so that its going may cost the budget nothing."""
    if any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions):
        return False
    if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
        return True
    wanted = budget.status.desired_healthy or 0
    return wanted > 0 and (budget.status.current_healthy or 0) >= wanted


async def _budget_of(registry: StoreRegistry, pod: Pod) -> PodDisruptionBudget | None:
    kind = _kind(registry, "policy", _PLURAL)
    listing = await registry.list(kind, pod.metadata.namespace, Selection(), ListOptions())
    budgets: list[PodDisruptionBudget] = [stored.typed() for stored in listing.items]  # type: ignore[misc]
    found = [
        budget
        for budget in budgets
        if budget.spec.selector is not None
        and (budget.spec.selector.match_labels or budget.spec.selector.match_expressions)
        and matches(budget.spec.selector, pod.metadata.labels)
    ]
    if len(found) > 1:
        raise InternalError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    return found[0] if found else None


async def _take_one(registry: StoreRegistry, budget: PodDisruptionBudget, pod: Pod, request: Request) -> None:
    """One disruption less, and the pod is named so that the controller does not count it meanwhile."""
    status, name = budget.status, budget.metadata.name
    if (status.observed_generation or 0) < budget.metadata.generation:
        raise _refusal(f"The disruption budget {name} is still being processed by the server.", retry_after=10)
    allowed = status.disruptions_allowed or 0
    if allowed < 0:
        raise Forbidden.of("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative")
    if len(status.disrupted_pods) > MOST_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise Forbidden.of("poddisruptionbudget", "policy", name, why)
    if allowed == 0:
        raise _refusal(
            f"The disruption budget {name} needs {status.desired_healthy or 0} healthy pods and has "
            f"{status.current_healthy or 0} currently"
        )
    if request.dry_run:
        return
    patch = {
        "metadata": {"resourceVersion": budget.metadata.resource_version},
        "status": {
            "disruptionsAllowed": allowed - 1,
            "disruptedPods": {pod.metadata.name: time.text(registry.clock.now())},
        },
    }
    kind = _kind(registry, "policy", _PLURAL)
    await registry.patch(
        kind, budget.metadata.namespace, name, patch, PatchType.MERGE, request, subresource="status"
    )


def _refusal(cause: str, *, retry_after: int | None = None) -> TooManyRequests:
    causes = ({"reason": "DisruptionBudget", "message": cause},)
    return TooManyRequests(REFUSED, causes=causes, retry_after=retry_after)


async def _announce(
    registry: StoreRegistry, pods: Kind, pod: Pod, options: DeleteOptions, request: Request
) -> DeleteOptions:
    """The pod says why it goes, before it does."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": time.text(registry.clock.now()),
    }
    revision = options.preconditions.get("resourceVersion")
    patch: dict[str, Any] = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
    if revision:
        patch["metadata"]["resourceVersion"] = revision
    meta = pod.metadata
    written = await registry.patch(
        pods, meta.namespace, meta.name, patch, PatchType.STRATEGIC, request, subresource="status"
    )
    return _at_revision(options, str(written.object.revision)) if revision else options


def _options(eviction: dict[str, Any]) -> DeleteOptions:
    given = {key: value for key, value in (eviction.get("deleteOptions") or {}).items() if value is not None}
    try:
        return msgspec.convert(given, DeleteOptions, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"DeleteOptions: {error}") from error


def _at_revision(options: DeleteOptions, revision: str) -> DeleteOptions:
    return msgspec.structs.replace(options, preconditions={**options.preconditions, "resourceVersion": revision})


def _kind(registry: StoreRegistry, group: str, plural: str) -> Kind:
    found = registry.find(group, "v1", plural)
    if found is None:
        raise NotFound.path()
    return found
