"""What a node may be told to be."""

import pytest

from minikube.agent import check_node
from minikube.settings import Settings, SettingsError


def test_own_labels_and_taints_of_all_effects_are_taken() -> None:
    labels = ("zone=a", "topology.kubernetes.io/zone=a", "node.kubernetes.io/exclude=1", "example.com/x=")
    check_node(Settings(node_label=labels, node_taint=("a=b:NoSchedule", "c:NoExecute")))


@pytest.mark.parametrize(
    "label", ["node-role.kubernetes.io/worker=", "x.k8s.io/y=1", "node-restriction.kubernetes.io/z=1"]
)
def test_labels_that_only_administrators_give_are_refused_at_start(label: str) -> None:
    with pytest.raises(SettingsError, match=f"may not give itself {label.partition('=')[0]}"):
        check_node(Settings(node_label=(label,)))


@pytest.mark.parametrize("taint", ["a=b", "a:Never", ":NoSchedule"])
def test_wrong_taints_are_refused_at_start(taint: str) -> None:
    with pytest.raises(SettingsError, match="node-taint"):
        check_node(Settings(node_taint=(taint,)))
