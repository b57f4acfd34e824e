"""The node's agent: pod lifecycle over a Runtime and a PodNetwork, volumes, probes and the kubelet API."""

from minikube.node.agent import Agent

__all__ = ["Agent"]
