"""A whole Kubernetes cluster in one asyncio process."""

__version__ = "0.1.0"
KUBERNETES_VERSION = "v1.37.0"
"""Whose API this is."""
