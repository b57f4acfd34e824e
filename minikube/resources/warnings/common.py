"""Warnings that several kinds share: labels of nodes that were renamed, names, amounts with fractions, claims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from minikube.api import quantity
from minikube.api.core_v1 import NodeSelectorTerm, PersistentVolumeClaimSpec
from minikube.api.meta import Object, Quantity
from minikube.api.meta_v1 import LabelSelector
from minikube.api.names import label_problems, label_value_problems
from minikube.resources.rules.invalid import at, key, quoted

NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": ('deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'),
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
"""Labels of nodes that nobody should select by any more (pkg/api/node/util.go), and why."""
STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"
STORAGE_CLASS_INSTEAD = 'deprecated since v1.8; use "storageClassName" attribute instead'


def pod_name_warnings(name: str, used_in: str = "in Pod names and hostnames") -> Iterator[str]:
    """Pods get their host name from it."""
    if wrong := list(label_problems(name)):
        yield (
            f"metadata.name: this is used {used_in}, which can result in surprising behavior; "
            f"a DNS label is recommended: [{' '.join(wrong)}]"
        )


def changed(new: Object, old: Object | None) -> bool:
    """Whether it is new or its spec is: what a pod template is told is told once."""
    return old is None or new.metadata.generation != old.metadata.generation


def term_warnings(term: NodeSelectorTerm, path: str, *, values: bool = False) -> Iterator[str]:
    """A term of node affinity; `values`: with those that no label can have."""
    for index, one in enumerate(term.match_expressions):
        where = at(f"{path}.matchExpressions", index)
        if one.key in NODE_LABELS:
            yield f"{where}.key: {one.key} is {NODE_LABELS[one.key]}"
        for position, value in enumerate(one.values if values else ()):
            for why in label_value_problems(value):
                yield f"{at(f'{where}.values', position)}: {value} is invalid, {why}"


def selector_warnings(selector: LabelSelector | None, path: str) -> Iterator[str]:
    """A selector of nodes."""
    if selector is None:
        return
    for index, one in enumerate(selector.match_expressions):
        if one.key in NODE_LABELS:
            yield f"{at(f'{path}.matchExpressions', index)}.key: {one.key} is {NODE_LABELS[one.key]}"
    for label in sorted(selector.match_labels.keys() & NODE_LABELS.keys()):
        yield f"{path}.matchLabels.{label}: {NODE_LABELS[label]}"


def fraction_warnings(amounts: Mapping[str, Quantity], path: str, names: Iterable[str]) -> Iterator[str]:
    """Bytes cannot be divided."""
    for name in names:
        given = amounts.get(name)
        if given is not None and quantity.milli_value(given) % 1000:
            shown = quoted(quantity.canonical(given))
            yield f"{key(path, name)}: fractional byte value {shown} is invalid, must be an integer"


def claim_warnings(spec: PersistentVolumeClaimSpec, path: str) -> Iterator[str]:
    """pkg/api/persistentvolumeclaim/util.go."""
    if spec.resources is not None:
        yield from fraction_warnings(spec.resources.requests, f"{path}.resources.requests", ("storage",))
        yield from fraction_warnings(spec.resources.limits, f"{path}.resources.limits", ("storage",))
