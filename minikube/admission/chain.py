"""Runs the plugins in order: all mutators, then all validators."""

from __future__ import annotations

from collections.abc import Sequence

from minikube.admission.base import Attributes, Mutator, Validator


class Chain:
    def __init__(self, plugins: Sequence[object] = ()) -> None:
        self._mutators: list[Mutator] = [plugin for plugin in plugins if hasattr(plugin, "admit")]
        self._validators: list[Validator] = [plugin for plugin in plugins if hasattr(plugin, "validate")]

    async def mutate(self, request: Attributes) -> None:
        for plugin in self._mutators:
            await plugin.admit(request)

    def mutated(self, request: Attributes) -> bool:
        """Whether any mutator runs at all, so that its result has to be looked at again."""
        return bool(self._mutators) and request.object is not None

    async def validate(self, request: Attributes) -> None:
        for plugin in self._validators:
            await plugin.validate(request)
