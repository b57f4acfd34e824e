"""Composition root of a node: runtime, network, kubelet API and the pods' lives."""

from __future__ import annotations

from minikube.settings import Settings, SettingsError


async def run_agent(settings: Settings) -> None:
    """Raises SettingsError: a machine cannot join yet."""
    raise SettingsError("joining another machine is not there yet: see the status table in README.md")
