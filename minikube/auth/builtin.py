"""Who may do what until RBAC comes: masters, nodes and our own identities everything, everybody reviews and
discovery, nobody else anything. Refusals are worded as kube-apiserver's."""

from __future__ import annotations

from minikube.auth.base import MASTERS, Action, Decision, User

NODES = "system:nodes"
OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version")
DISCOVERY = ("/api", "/apis", "/openapi")
AUTHENTICATED = "system:authenticated"


class BuiltinAuthorizer:
    def authorize(self, user: User, action: Action) -> Decision:
        if MASTERS in user.groups or NODES in user.groups:
            return Decision(True)
        if user.name.startswith("system:serviceaccount:kube-system:"):
            return Decision(True)
        if action.path:
            path = action.path.rstrip("/")
            if action.verb == "get" and any(path == p or path.startswith(p + "/") for p in OPEN_PATHS):
                return Decision(True)
            if action.verb == "get" and AUTHENTICATED in user.groups:
                return Decision(any(path == p or path.startswith(p + "/") for p in DISCOVERY))
        return Decision(False)


def refusal(user: User, action: Action) -> str:
    """k8s.io/apiserver responsewriters.forbiddenMessage."""
    who = f'User "{user.name}"'
    if action.path:
        return f'{who} cannot {action.verb} path "{action.path}"'
    resource = f"{action.resource}/{action.subresource}" if action.subresource else action.resource
    where = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    return f'{who} cannot {action.verb} resource "{resource}" in API group "{action.group}" {where}'
