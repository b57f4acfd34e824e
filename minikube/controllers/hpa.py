"""HorizontalPodAutoscaler: replicas that follow the resource usage of their pods. Rules: controller/podautoscaler.

Looked at every fifteen seconds as long as there is one. Usage comes from metrics.k8s.io; metrics of other kinds
need an adapter's API and are reported as failing without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from minikube.api import quantity
from minikube.api.autoscaling_v1 import Scale
from minikube.api.autoscaling_v2 import (
    ContainerResourceMetricStatus,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerSpec,
    HorizontalPodAutoscalerStatus,
    MetricSpec,
    MetricStatus,
    MetricTarget,
    MetricValueStatus,
    ResourceMetricStatus,
)
from minikube.api.core_v1 import Pod
from minikube.api.meta import Key
from minikube.api.selectors import parse_labels
from minikube.api.time import seconds
from minikube.controllers.base import After, Context, itself
from minikube.controllers.hpa_limits import Past, normalize
from minikube.controllers.hpa_replicas import Counted, NoMetrics, Sample, by_utilization, by_value, requests_of
from minikube.controllers.scales import Scales
from minikube.errors import ApiError

PERIOD = 15.0
"""--horizontal-pod-autoscaler-sync-period"""
FAILED = {
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
    "Pods": "FailedGetPodsMetric",
    "Object": "FailedGetObjectMetric",
    "External": "FailedGetExternalMetric",
}
STABILIZED = {
    "ScaleDownStabilized": "recent recommendations were higher than current one, applying the highest recent "
    "recommendation",
    "ScaleUpStabilized": "recent recommendations were lower than current one, applying the lowest recent "
    "recommendation",
}


class Conditions:
    """Kept in the order in which they were first said."""

    def __init__(self, known: tuple[HorizontalPodAutoscalerCondition, ...], now: datetime) -> None:
        self._found = {one.type: one for one in known}
        self._now = seconds(now)

    def set(self, type: str, status: str, reason: str, message: str) -> None:
        known = self._found.get(type)
        since = known.last_transition_time if known is not None and known.status == status else self._now
        self._found[type] = HorizontalPodAutoscalerCondition(
            type=type, status=status, reason=reason, message=message, last_transition_time=since
        )

    def all(self) -> tuple[HorizontalPodAutoscalerCondition, ...]:
        return tuple(self._found.values())


class Unavailable(Exception):
    """A metric cannot be had: the condition's reason, and the message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Proposal(msgspec.Struct, frozen=True):
    replicas: int
    metric: str
    status: MetricStatus


class HorizontalController:
    name: ClassVar[str] = "horizontal-pod-autoscaler"
    workers: ClassVar[int] = 1
    watches = (itself(HorizontalPodAutoscaler),)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._hpas = context.informers.of(HorizontalPodAutoscaler).lister
        self._pods = context.informers.of(Pod).lister
        self._scales = Scales(context.client)
        self._past: dict[str, Past] = {}
        self._next: dict[str, tuple[HorizontalPodAutoscalerSpec, float]] = {}

    async def reconcile(self, key: Key) -> After | None:
        hpa = self._hpas.get(key.name, key.namespace)
        if hpa is None:
            return None
        now, uid = self._context.clock.monotonic(), hpa.metadata.uid
        spec, at = self._next.get(uid, (hpa.spec, now))
        if at > now and spec == hpa.spec:
            # Our own status write, not a new wish.
            return After(at - now)
        self._next[uid] = hpa.spec, now + PERIOD
        conditions = Conditions(hpa.status.conditions, self._context.clock.now())
        status = await self._follow(hpa, conditions)
        status = msgspec.structs.replace(status, conditions=conditions.all())
        if status != hpa.status:
            await self._context.client.update(msgspec.structs.replace(hpa, status=status), subresource="status")
        return After(PERIOD)

    async def _follow(self, hpa: HorizontalPodAutoscaler, conditions: Conditions) -> HorizontalPodAutoscalerStatus:
        """Read, decide, scale; the status without its conditions."""
        events, target = self._context.events, hpa.spec.scale_target_ref
        namespace = hpa.metadata.namespace
        try:
            resource = await self._scales.resource(target.api_version, target.kind)
            if resource is None:
                raise ApiError(f'no matches for kind "{target.kind}" in group "{target.api_version}"')
            scale = await self._context.client.get_scale(resource, target.name, namespace)
        except ApiError as error:
            message = f"the HPA controller was unable to get the target's current scale: {error.message}"
            conditions.set("AbleToScale", "False", "FailedGetScale", message)
            events.warning(hpa, "FailedGetScale", error.message)
            return hpa.status
        message = "the HPA controller was able to get the target's current scale"
        conditions.set("AbleToScale", "True", "SucceededGetScale", message)
        current = scale.spec.replicas or 0
        try:
            wanted, why, metrics = await self._wanted(hpa, scale, current, conditions)
        except Unavailable:
            return msgspec.structs.replace(hpa.status, current_replicas=current)
        if wanted != current:
            try:
                await self._context.client.set_scale(resource, target.name, namespace, replicas=wanted)
            except ApiError as error:
                message = f"the HPA controller was unable to update the target scale: {error.message}"
                conditions.set("AbleToScale", "False", "FailedUpdateScale", message)
                told = f"New size: {wanted}; reason: {why}; error: {error.message}"
                events.warning(hpa, "FailedRescale", told)
                return msgspec.structs.replace(hpa.status, current_replicas=current)
            message = f"the HPA controller was able to update the target scale to {wanted}"
            conditions.set("AbleToScale", "True", "SucceededRescale", message)
            events.normal(hpa, "SuccessfulRescale", f"New size: {wanted}; reason: {why}")
            self._past_of(hpa).changes.append((self._context.clock.monotonic(), wanted - current))
        return HorizontalPodAutoscalerStatus(
            current_replicas=current,
            desired_replicas=wanted,
            current_metrics=metrics,
            last_scale_time=seconds(self._context.clock.now()) if wanted != current else hpa.status.last_scale_time,
        )

    async def _wanted(
        self, hpa: HorizontalPodAutoscaler, scale: Scale, current: int, conditions: Conditions
    ) -> tuple[int, str, tuple[MetricStatus, ...]]:
        """(replicas, reason, current metrics). Raises Unavailable, after having said so."""
        least = 1 if hpa.spec.min_replicas is None else hpa.spec.min_replicas
        if current == 0 and least != 0:
            message = "scaling is disabled since the replica count of the target is zero"
            conditions.set("ScalingActive", "False", "ScalingDisabled", message)
            return 0, "", ()
        if current > hpa.spec.max_replicas:
            return hpa.spec.max_replicas, "Current number of replicas above Spec.MaxReplicas", ()
        if current < least:
            return least, "Current number of replicas below Spec.MinReplicas", ()
        best, metrics = await self._proposals(hpa, scale, current, conditions)
        past = self._past_of(hpa)
        allowed = normalize(hpa, current, best.replicas, past, self._context.clock.monotonic())
        if allowed.stabilized:
            conditions.set("AbleToScale", "True", allowed.stabilized, STABILIZED[allowed.stabilized])
        else:
            message = "recommended size matches current size"
            conditions.set("AbleToScale", "True", "ReadyForNewScale", message)
        if allowed.limit is not None:
            conditions.set("ScalingLimited", "True", *allowed.limit)
        else:
            within = "the desired count is within the acceptable range"
            conditions.set("ScalingLimited", "False", "DesiredWithinRange", within)
        up = allowed.replicas > current
        return allowed.replicas, f"{best.metric} above target" if up else "All metrics below target", metrics

    async def _proposals(
        self, hpa: HorizontalPodAutoscaler, scale: Scale, current: int, conditions: Conditions
    ) -> tuple[Proposal, tuple[MetricStatus, ...]]:
        """The highest of what the metrics call for; one that fails forbids to go down only."""
        found: list[Proposal] = []
        failures: list[Unavailable] = []
        for metric in hpa.spec.metrics:
            try:
                found.append(await self._propose(hpa, metric, scale, current))
            except Unavailable as failure:
                self._context.events.warning(hpa, failure.reason, str(failure))
                failures.append(failure)
        best = max(found, key=lambda one: one.replicas, default=None)
        if best is None or (failures and best.replicas < current):
            first = failures[0] if failures else Unavailable("InvalidMetricSourceType", "no metrics are given")
            message = f"the HPA was unable to compute the replica count: {first}"
            conditions.set("ScalingActive", "False", first.reason, message)
            told = (
                f"invalid metrics ({len(failures)} invalid out of {len(hpa.spec.metrics)}), first error is: {first}"
            )
            self._context.events.warning(hpa, "FailedComputeMetricsReplicas", told)
            raise first
        message = f"the HPA was able to successfully calculate a replica count from {best.metric}"
        conditions.set("ScalingActive", "True", "ValidMetricFound", message)
        return best, tuple(one.status for one in found)

    async def _propose(
        self, hpa: HorizontalPodAutoscaler, metric: MetricSpec, scale: Scale, current: int
    ) -> Proposal:
        reason = FAILED.get(metric.type, "InvalidMetricSourceType")
        source = metric.resource or metric.container_resource
        if source is None:
            which = "external" if metric.type == "External" else "custom"
            why = "the server could not find the requested resource"
            raise Unavailable(reason, f"unable to fetch metrics from {which} metrics API: {why}")
        container = metric.container_resource.container if metric.container_resource else ""
        namespace, selector = hpa.metadata.namespace, scale.status.selector
        try:
            samples = await self._samples(namespace, selector, container, source.name)
            parsed = parse_labels(selector)
            pods = [pod for pod in self._pods.list(namespace) if parsed.matches(pod.metadata.labels)]
            counted = self._count(current, source.target, pods, samples, container, source.name)
        except ApiError as error:
            message = (
                f"unable to fetch metrics from resource metrics API: {error.message} (get pods.metrics.k8s.io)"
            )
            raise Unavailable(reason, f"failed to get {source.name} utilization: {message}") from error
        except NoMetrics as error:
            raise Unavailable(reason, f"failed to get {source.name} utilization: {error}") from error
        value = MetricValueStatus(
            average_utilization=counted.utilization, average_value=_shown(counted.average, source.name)
        )
        if metric.container_resource is not None:
            inside = ContainerResourceMetricStatus(name=source.name, container=container, current=value)
            status = MetricStatus(type=metric.type, container_resource=inside)
            what = f"{source.name} container resource"
        else:
            status = MetricStatus(type=metric.type, resource=ResourceMetricStatus(name=source.name, current=value))
            what = f"{source.name} resource"
        kind = "utilization (percentage of request)" if counted.utilization is not None else ""
        return Proposal(counted.replicas, f"{what} {kind}".strip(), status)

    def _count(
        self,
        current: int,
        target: MetricTarget,
        pods: list[Pod],
        samples: Mapping[str, Sample],
        container: str,
        resource: str,
    ) -> Counted:
        now = self._context.clock.now()
        if target.average_value is not None:
            return by_value(current, _amount(target.average_value, resource), pods, samples, resource, now)
        requests = requests_of(pods, container, resource)
        return by_utilization(current, target.average_utilization or 80, pods, samples, requests, resource, now)

    async def _samples(self, namespace: str, selector: str, container: str, resource: str) -> Mapping[str, Sample]:
        """By pod. Raises ApiError when there is no metrics API."""
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods?labelSelector={quote(selector)}"
        answer = await self._context.client.request("GET", path)
        found = {}
        for item in answer.get("items") or ():
            usages = [
                one["usage"][resource]
                for one in item.get("containers") or ()
                if (not container or one["name"] == container) and resource in one["usage"]
            ]
            if usages:
                found[item["metadata"]["name"]] = Sample(
                    value=sum(_amount(one, resource) for one in usages),
                    at=datetime.fromisoformat(item["timestamp"]),
                    window=_duration(item.get("window", "30s")),
                )
        if not found:
            raise NoMetrics("no metrics returned from resource metrics API")
        return found

    def _past_of(self, hpa: HorizontalPodAutoscaler) -> Past:
        return self._past.setdefault(hpa.metadata.uid, Past())


def _amount(value: Any, resource: str) -> int:
    return quantity.milli_value(value) if resource == "cpu" else quantity.value(value)


def _shown(value: int, resource: str) -> str:
    return quantity.canonical(f"{value}m" if resource == "cpu" else str(value))


def _duration(text: str) -> timedelta:
    """Go's notation, as far as windows use it: 30s, 1m0s, 15.5s."""
    total, number = 0.0, ""
    units: Mapping[str, float] = {"h": 3600, "m": 60, "s": 1}
    for sign in text:
        if sign in units and number:
            total += float(number) * units[sign]
            number = ""
        else:
            number += sign
    return timedelta(seconds=total)
