"""The kubelet's HTTP API."""

from minikube.node.kubelet.api import KubeletApi

__all__ = ["KubeletApi"]
