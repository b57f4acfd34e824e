"""How namespaces and nodes begin and change (ValidateNamespace, ValidateNode and their strategies)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from minikube.api.core_v1 import Namespace, Node, Taint
from minikube.api.names import cidr_problems, label_problems, label_value_problems, qualified_name_problems
from minikube.errors import FieldError
from minikube.resources.base import Obj, ReadOnlyObj, Strategy
from minikube.resources.rules.amounts import amount
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, key, not_supported, required
from minikube.resources.rules.labelling import label_name
from minikube.resources.warnings.kinds import node_warnings

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"
_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


class NamespaceRules(Strategy[Namespace]):
    def name_problems(self, name: str) -> Iterator[str]:
        return label_problems(name)

    def default(self, new: Obj) -> None:
        metadata = new.setdefault("metadata", {})
        if name := metadata.get("name"):
            labels = dict(metadata.get("labels") or {})
            labels[NAME_LABEL] = name
            metadata["labels"] = labels

    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"phase": "Active"}
        spec = dict(new.get("spec") or {})
        given = list(spec.get("finalizers") or ())
        spec["finalizers"] = given if FINALIZER in given else [*given, FINALIZER]
        new["spec"] = spec

    def prepare_update(self, new: Obj, old: ReadOnlyObj) -> None:
        """Only /finalize takes a namespace's finalizers away."""
        spec = dict(new.get("spec") or {})
        spec["finalizers"] = list((old.get("spec") or {}).get("finalizers") or ())
        new["spec"] = spec
        if old.get("status"):
            new["status"] = old["status"]

    def held(self, obj: ReadOnlyObj) -> bool:
        return bool((obj.get("spec") or {}).get("finalizers"))

    def prepare_delete(self, new: Obj) -> None:
        new["status"] = {**(new.get("status") or {}), "phase": "Terminating"}

    def validate(self, new: Namespace, old: Namespace | None) -> Iterator[FieldError]:
        for index, name in enumerate(new.spec.finalizers):
            where = at("spec.finalizers", index)
            for why in qualified_name_problems(name):
                yield invalid(where, name, why)
            if "/" not in name and name != FINALIZER:
                yield invalid(where, name, "name is neither a standard finalizer name nor is it fully qualified")

    def validate_subresource(self, new: Namespace, old: Namespace, subresource: str) -> Iterator[FieldError]:
        return self.validate(new, old)

    def validate_status(self, new: Namespace, old: Namespace) -> Iterator[FieldError]:
        phase = new.status.phase
        wanted = "Terminating" if new.metadata.deletion_timestamp else "Active"
        if phase != wanted and not (wanted == "Active" and not phase):
            reason = "is not empty" if wanted == "Terminating" else "is empty"
            yield invalid("status.Phase", phase, f"may only be '{wanted}' if `deletionTimestamp` {reason}")

    def fields(self, obj: Any) -> Mapping[str, str]:
        return {"status.phase": obj.status.phase, "name": obj.metadata.name}


class NodeRules(Strategy[Node]):
    keeps_status = True

    def default(self, new: Obj) -> None:
        """The range of pods has two names; when they differ the older counts (pkg/apis/core/v1/conversion.go)."""
        spec = new.get("spec") or {}
        one, several = spec.get("podCIDR"), spec.get("podCIDRs") or []
        if one and one not in several[:1]:
            spec["podCIDRs"] = [one]
        elif several and not one:
            spec["podCIDR"] = several[0]

    def validate(self, new: Node, old: Node | None) -> Iterator[FieldError]:
        yield from taints(new.spec.taints, "spec.taints")
        for index, one in enumerate(new.spec.pod_cidrs):
            for why in cidr_problems(one):
                yield invalid(at("spec.podCIDRs", index), one, why)
        if old is None:
            yield from self.validate_status(new, new)
            return
        if old.spec.pod_cidrs and old.spec.pod_cidrs != new.spec.pod_cidrs:
            why = 'node updates may not change podCIDR except from "" to valid'
            yield forbidden("spec.podCIDRs", why)
        if old.spec.provider_id and old.spec.provider_id != new.spec.provider_id:
            why = 'node updates may not change providerID except from "" to valid'
            yield forbidden("spec.providerID", why)

    def warnings(self, new: Node, old: Node | None) -> Iterator[str]:
        yield from node_warnings(new)

    def validate_status(self, new: Node, old: Node) -> Iterator[FieldError]:
        for name, given in new.status.capacity.items():
            yield from amount(name, given, key("status.capacity", name))
        for name, given in new.status.allocatable.items():
            yield from amount(name, given, key("status.allocatable", name))
        seen: set[tuple[str, str]] = set()
        for index, one in enumerate(new.status.addresses):
            if (one.type, one.address) in seen:
                yield duplicate(at("status.addresses", index), one)
            seen.add((one.type, one.address))

    def fields(self, obj: Any) -> Mapping[str, str]:
        return {"spec.unschedulable": "true" if obj.spec.unschedulable else "false"}


def taints(given: Sequence[Taint], path: str) -> Iterator[FieldError]:
    seen: set[tuple[str, str]] = set()
    for index, one in enumerate(given):
        where = at(path, index)
        yield from label_name(one.key, f"{where}.key")
        if wrong := ";".join(label_value_problems(one.value)):
            yield invalid(f"{where}.value", one.value, wrong)
        if not one.effect:
            yield required(f"{where}.effect")
        elif one.effect not in _EFFECTS:
            yield not_supported(f"{where}.effect", one.effect, _EFFECTS)
        if (one.key, one.effect) in seen:
            why = duplicate(where, one)
            yield FieldError(why.path, why.reason, f"{why.detail}: taints must be unique by key and effect pair")
        seen.add((one.key, one.effect))
