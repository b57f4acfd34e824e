"""How a refusal is worded: k8s.io/apiserver/pkg/endpoints/handlers/responsewriters (forbiddenMessage)."""

from __future__ import annotations

from minikube.auth.base import Action, User
from minikube.errors import Forbidden


def refused(user: User, action: Action, reason: str = "") -> Forbidden:
    """The 403 for what this user asked; `reason` is the authorizer's."""
    why = _cannot(user, action) + (f": {reason}" if reason else "")
    if action.path:
        return Forbidden(f"forbidden: {why}", details={})
    return Forbidden.of(action.resource, action.group, action.name, why)


def _cannot(user: User, action: Action) -> str:
    who = f'User "{user.name}"'
    if action.path:
        return f'{who} cannot {action.verb} path "{action.path}"'
    resource = f"{action.resource}/{action.subresource}" if action.subresource else action.resource
    where = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    return f'{who} cannot {action.verb} resource "{resource}" in API group "{action.group}" {where}'
