"""Runs the plugins in order: all mutators, then all validators."""

from __future__ import annotations

from collections.abc import Sequence

from minikube.admission.base import Attributes, Mutator, Validator


class Chain:
    def __init__(self, plugins: Sequence[Mutator | Validator] = ()) -> None:
        self._mutators: list[Mutator] = [p for p in plugins if isinstance(p, Mutator)]
        self._validators: list[Validator] = [p for p in plugins if isinstance(p, Validator)]

    async def mutate(self, request: Attributes) -> None:
        for plugin in self._mutators:
            await plugin.admit(request)
        if request.rewritten:
            request.again = True
            for plugin in self._mutators:
                await plugin.admit(request)

    def mutated(self, request: Attributes) -> bool:
        """Whether any mutator runs at all, so that its result has to be looked at again."""
        return bool(self._mutators) and request.object is not None

    async def validate(self, request: Attributes) -> None:
        for plugin in self._validators:
            await plugin.validate(request)
