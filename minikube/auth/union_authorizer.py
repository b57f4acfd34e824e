"""Several authorizers as one: what any of them allows is allowed; a refusal has all their reasons."""

from __future__ import annotations

from collections.abc import Sequence

from minikube.auth.base import Action, Authorizer, Decision, User


class UnionAuthorizer:
    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = authorizers

    def authorize(self, user: User, action: Action) -> Decision:
        reasons = []
        for each in self._authorizers:
            decision = each.authorize(user, action)
            if decision.allowed:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, "\n".join(reasons))
