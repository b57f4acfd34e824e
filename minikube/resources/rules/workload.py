"""What workloads may say: deployments, replica sets and controllers, daemon sets, stateful sets (pkg/apis/apps)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from minikube.api.apps_v1 import (
    ControllerRevision,
    DaemonSet,
    DaemonSetUpdateStrategy,
    Deployment,
    DeploymentStrategy,
    ReplicaSet,
    RollingUpdateDaemonSet,
    RollingUpdateDeployment,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from minikube.api.core_v1 import PodTemplateSpec, ReplicationController
from minikube.api.meta_v1 import LabelSelector
from minikube.api.names import label_1035_problems, label_problems
from minikube.api.selectors import matches
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.claims import claim_spec
from minikube.resources.rules.invalid import (
    at,
    forbidden,
    immutable,
    invalid,
    not_negative,
    not_supported,
    one_of,
    required,
)
from minikube.resources.rules.labelling import at_most_all, count_or_percent, is_empty, is_zero, label_selector
from minikube.resources.rules.podspec import pod_template
from minikube.resources.rules.workload_status import (
    daemon_set_status,
    deployment_status,
    replica_set_status,
    stateful_set_status,
)
from minikube.resources.warnings.common import changed, claim_warnings, pod_name_warnings
from minikube.resources.warnings.pod import template_warnings

MISMATCH = "`selector` does not match template `labels`"
_MAY_CHANGE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def _selected(
    selector: LabelSelector | None, template: PodTemplateSpec | None, kind: str, path: str = "spec"
) -> Iterator[FieldError]:
    """The selector is there, says something, and selects the pods of the template.

    Of a daemon set without one upstream says only that it selects nothing.
    """
    if selector is None and kind != "daemonset":
        yield required(f"{path}.selector")
    yield from label_selector(selector, f"{path}.selector")
    if selector is not None and is_empty(selector):
        yield invalid(f"{path}.selector", selector, f"empty selector is invalid for {kind}")
    elif template is not None and not matches(selector, template.metadata.labels):
        yield invalid(f"{path}.template.metadata.labels", template.metadata.labels, MISMATCH)


def _lasting(template: PodTemplateSpec | None, kind: str, path: str = "spec.template") -> Iterator[FieldError]:
    """A template whose pods run for ever."""
    yield from pod_template(template, path)
    if template is None:
        return
    if template.spec.restart_policy and template.spec.restart_policy != "Always":
        yield not_supported(f"{path}.spec.restartPolicy", template.spec.restart_policy, ("Always",))
    if template.spec.active_deadline_seconds is not None:
        why = f"activeDeadlineSeconds in {kind} is not Supported"
        yield forbidden(f"{path}.spec.activeDeadlineSeconds", why)


class DeploymentRules(Strategy[Deployment]):
    def prepare_create(self, new: Obj) -> None:
        new.setdefault("status", {})

    def validate(self, new: Deployment, old: Deployment | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from not_negative("spec.replicas", spec.replicas)
        yield from _selected(spec.selector, spec.template, "deployment")
        yield from _lasting(spec.template, "Deployment")
        yield from _deployment_strategy(spec.strategy or DeploymentStrategy(), "spec.strategy")
        yield from not_negative("spec.minReadySeconds", spec.min_ready_seconds)
        yield from not_negative("spec.revisionHistoryLimit", spec.revision_history_limit)
        deadline = spec.progress_deadline_seconds
        if deadline is not None:
            yield from not_negative("spec.progressDeadlineSeconds", deadline)
            if deadline <= (spec.min_ready_seconds or 0):
                yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
        if old is not None:
            yield from immutable("spec.selector", spec.selector, old.spec.selector)

    def warnings(self, new: Deployment, old: Deployment | None) -> Iterator[str]:
        if old is None:
            yield from pod_name_warnings(new.metadata.name)
        if changed(new, old):
            yield from template_warnings(new.spec.template)

    def validate_status(self, new: Deployment, old: Deployment) -> Iterator[FieldError]:
        yield from deployment_status(new.status, old.status)


def _deployment_strategy(strategy: DeploymentStrategy, path: str) -> Iterator[FieldError]:
    if strategy.type == "Recreate":
        if strategy.rolling_update is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            yield forbidden(f"{path}.rollingUpdate", why)
        return
    if strategy.type != "RollingUpdate":
        yield not_supported(f"{path}.type", strategy.type, ("Recreate", "RollingUpdate"))
        return
    rolling = strategy.rolling_update or RollingUpdateDeployment()
    where = f"{path}.rollingUpdate"
    yield from count_or_percent(rolling.max_unavailable, f"{where}.maxUnavailable")
    yield from count_or_percent(rolling.max_surge, f"{where}.maxSurge")
    if is_zero(rolling.max_unavailable) and is_zero(rolling.max_surge):
        yield invalid(f"{where}.maxUnavailable", rolling.max_unavailable, "may not be 0 when `maxSurge` is 0")
    yield from at_most_all(rolling.max_unavailable, f"{where}.maxUnavailable")


class ReplicaSetRules(Strategy[ReplicaSet]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"replicas": 0}

    def validate(self, new: ReplicaSet, old: ReplicaSet | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from not_negative("spec.replicas", spec.replicas)
        yield from not_negative("spec.minReadySeconds", spec.min_ready_seconds)
        yield from _selected(spec.selector, spec.template, "deployment")
        yield from _lasting(spec.template, "ReplicaSet")
        if old is not None:
            yield from immutable("spec.selector", spec.selector, old.spec.selector)

    def warnings(self, new: ReplicaSet, old: ReplicaSet | None) -> Iterator[str]:
        if old is None:
            yield from pod_name_warnings(new.metadata.name)
        if changed(new, old):
            yield from template_warnings(new.spec.template)

    def validate_status(self, new: ReplicaSet, old: ReplicaSet) -> Iterator[FieldError]:
        yield from replica_set_status(new.status)

    def fields(self, obj: Any) -> Mapping[str, str]:
        return {"status.replicas": str(obj.status.replicas)}


class ReplicationControllerRules(Strategy[ReplicationController]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"replicas": 0}

    def validate(self, new: ReplicationController, old: ReplicationController | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from not_negative("spec.minReadySeconds", spec.min_ready_seconds)
        if not spec.selector:
            yield required("spec.selector")
        yield from not_negative("spec.replicas", spec.replicas)
        if spec.template is not None and spec.selector:
            given = spec.template.metadata.labels
            if any(given.get(name) != value for name, value in spec.selector.items()):
                yield invalid("spec.template.metadata.labels", given, MISMATCH)
        yield from _lasting(spec.template, "ReplicationController")

    def warnings(self, new: ReplicationController, old: ReplicationController | None) -> Iterator[str]:
        if old is None:
            yield from pod_name_warnings(new.metadata.name)
        if changed(new, old):
            yield from template_warnings(new.spec.template)

    def validate_status(self, new: ReplicationController, old: ReplicationController) -> Iterator[FieldError]:
        yield from replica_set_status(new.status)

    def fields(self, obj: Any) -> Mapping[str, str]:
        return {"status.replicas": str(obj.status.replicas)}


class DaemonSetRules(Strategy[DaemonSet]):
    def prepare_create(self, new: Obj) -> None:
        counts = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
        new["status"] = dict.fromkeys(counts, 0)

    def validate(self, new: DaemonSet, old: DaemonSet | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from _selected(spec.selector, spec.template, "daemonset")
        yield from _lasting(spec.template, "DaemonSet")
        yield from not_negative("spec.minReadySeconds", spec.min_ready_seconds)
        yield from not_negative("spec.revisionHistoryLimit", spec.revision_history_limit)
        yield from _daemon_strategy(spec.update_strategy or DaemonSetUpdateStrategy(), "spec.updateStrategy")
        if old is not None:
            yield from immutable("spec.selector", spec.selector, old.spec.selector)

    def warnings(self, new: DaemonSet, old: DaemonSet | None) -> Iterator[str]:
        if changed(new, old):
            yield from template_warnings(new.spec.template)

    def validate_status(self, new: DaemonSet, old: DaemonSet) -> Iterator[FieldError]:
        yield from daemon_set_status(new.status, old.status)


def _daemon_strategy(strategy: DaemonSetUpdateStrategy, path: str) -> Iterator[FieldError]:
    if strategy.type == "OnDelete":
        return
    if strategy.type != "RollingUpdate":
        yield not_supported(f"{path}.type", strategy.type, ("OnDelete", "RollingUpdate"))
        return
    rolling = strategy.rolling_update or RollingUpdateDaemonSet()
    where = f"{path}.rollingUpdate"
    unavailable, surge = is_zero(rolling.max_unavailable), is_zero(rolling.max_surge)
    yield from count_or_percent(rolling.max_unavailable, f"{where}.maxUnavailable")
    yield from at_most_all(rolling.max_unavailable, f"{where}.maxUnavailable")
    yield from count_or_percent(rolling.max_surge, f"{where}.maxSurge")
    yield from at_most_all(rolling.max_surge, f"{where}.maxSurge")
    if not unavailable and not surge:
        yield invalid(f"{where}.maxSurge", rolling.max_surge, "may not be set when maxUnavailable is non-zero")
    elif unavailable and surge:
        yield required(f"{where}.maxUnavailable", "cannot be 0 when maxSurge is 0")


class StatefulSetRules(Strategy[StatefulSet]):
    def name_problems(self, name: str) -> Iterator[str]:
        return label_problems(name)

    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"replicas": 0, "availableReplicas": 0}

    def validate(self, new: StatefulSet, old: StatefulSet | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from one_of("spec.podManagementPolicy", spec.pod_management_policy, ("OrderedReady", "Parallel"))
        yield from _stateful_strategy(spec)
        yield from not_negative("spec.replicas", spec.replicas)
        yield from not_negative("spec.minReadySeconds", spec.min_ready_seconds)
        if spec.ordinals:
            yield from not_negative("spec.ordinals.start", spec.ordinals.start)
        for why in label_1035_problems(spec.service_name) if spec.service_name else ():
            yield invalid("spec.serviceName", spec.service_name, why)
        yield from _selected(spec.selector, spec.template, "statefulset")
        yield from _templates(spec)
        if old is not None and _fixed(spec) != _fixed(old.spec):
            yield forbidden("spec", _MAY_CHANGE)

    def warnings(self, new: StatefulSet, old: StatefulSet | None) -> Iterator[str]:
        if changed(new, old):
            yield from template_warnings(new.spec.template)
        for index, claim in enumerate(new.spec.volume_claim_templates):
            where = at("spec.volumeClaimTemplates", index)
            yield from claim_warnings(claim.spec, where if old is None else f"{where}.Spec")
        if (new.spec.revision_history_limit or 0) < 0:
            yield (
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; "
                "a value >= 0 is recommended"
            )

    def validate_status(self, new: StatefulSet, old: StatefulSet) -> Iterator[FieldError]:
        yield from stateful_set_status(new.status, old.status)


def _fixed(spec: StatefulSetSpec) -> StatefulSetSpec:
    """What may never change."""
    return replace(
        spec,
        replicas=None,
        ordinals=None,
        template=PodTemplateSpec(),
        update_strategy=None,
        revision_history_limit=None,
        persistent_volume_claim_retention_policy=None,
        min_ready_seconds=None,
    )


def _stateful_strategy(spec: StatefulSetSpec) -> Iterator[FieldError]:
    strategy, path = spec.update_strategy or StatefulSetUpdateStrategy(), "spec.updateStrategy"
    if strategy.type == "OnDelete":
        if strategy.rolling_update is not None:
            yield invalid(
                f"{path}.rollingUpdate", strategy.rolling_update, "only allowed for updateStrategy 'RollingUpdate'"
            )
    elif strategy.type != "RollingUpdate":
        yield invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")
    elif strategy.rolling_update is not None:
        yield from not_negative(f"{path}.rollingUpdate.partition", strategy.rolling_update.partition)
        limit = strategy.rolling_update.max_unavailable
        where = f"{path}.rollingUpdate.maxUnavailable"
        yield from count_or_percent(limit, where)
        yield from at_most_all(limit, where)
        if limit is not None and is_zero(limit):
            yield invalid(where, limit, "cannot be 0")
    policy = spec.persistent_volume_claim_retention_policy
    if policy is not None:
        where = "spec.persistentVolumeClaimRetentionPolicy"
        for name, value in (("whenDeleted", policy.when_deleted), ("whenScaled", policy.when_scaled)):
            if value not in ("Delete", "Retain"):
                yield not_supported(f"{where}.{name}", value, ("Delete", "Retain"))


def _templates(spec: StatefulSetSpec) -> Iterator[FieldError]:
    """Pods whose volumes come from claim templates may mount what the template does not list."""
    claimed = {one.metadata.name for one in spec.volume_claim_templates}
    unknown = {f'Not found: "{name}"' for name in claimed}
    for error in _lasting(spec.template, "StatefulSet"):
        if error.reason != "FieldValueNotFound" or error.detail not in unknown:
            yield error
    for index, one in enumerate(spec.volume_claim_templates):
        where = at("spec.volumeClaimTemplates", index)
        if not one.metadata.name:
            yield required(f"{where}.metadata.name")
        yield from claim_spec(one.spec, f"{where}.spec")


class ControllerRevisionRules(Strategy[ControllerRevision]):
    def validate(self, new: ControllerRevision, old: ControllerRevision | None) -> Iterator[FieldError]:
        yield from not_negative("revision", new.revision)
        if new.data is None:
            yield required("data", "data is mandatory")
        if old is not None:
            yield from immutable("data", new.data, old.data)
