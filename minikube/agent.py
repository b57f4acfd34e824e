"""Composition root of a node: runtime, network, kubelet API and the pods' lives."""
