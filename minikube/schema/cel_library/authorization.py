"""What can be asked of `authorizer` (library.Authz, library.AuthzSelectors)."""

from __future__ import annotations

import json
from collections.abc import Callable

from minikube.api.names import label_problems, subdomain_problems
from minikube.schema.cel_authority import AUTHORIZER, DECISION, GROUP, PATH, RESOURCE, ask
from minikube.schema.cel_library.values import BOOL, MAP, NO_OVERLOAD, STRING, Library, Opaque, text_of


def _value(kind: str, **parts: str) -> Opaque:
    return {kind: json.dumps(parts)}


def _parts(value: Opaque, kind: str) -> dict[str, str]:
    if kind == AUTHORIZER and AUTHORIZER in value:
        return dict(json.loads(value[AUTHORIZER]))
    return dict(json.loads(text_of(value, kind)))


def _some(what: str, text: str) -> str:
    if not text.strip():
        raise ValueError(f"{what} must not be empty")
    return text


def _service_account(value: Opaque, namespace: str, name: str) -> Opaque:
    _parts(value, AUTHORIZER)
    if any(subdomain_problems(name)):
        raise ValueError("Invalid service account name")
    if any(label_problems(namespace)):
        raise ValueError("Invalid service account namespace")
    return _value(AUTHORIZER, account=f"{namespace}/{name}")


def _path(value: Opaque, path: str) -> Opaque:
    return _value(PATH, **_parts(value, AUTHORIZER), path=_some("path", path))


def _group(value: Opaque, group: str) -> Opaque:
    return _value(GROUP, **_parts(value, AUTHORIZER), group=group)


def _resource(value: Opaque, resource: str) -> Opaque:
    return _value(RESOURCE, **_parts(value, GROUP), resource=_some("resource", resource))


def _with(part: str) -> Callable[[Opaque, str], Opaque]:
    return lambda value, text: _value(RESOURCE, **{**_parts(value, RESOURCE), part: text})


def _check(value: Opaque, verb: str) -> Opaque:
    kind = next((kind for kind in (PATH, RESOURCE) if kind in value), "")
    if not kind:
        raise ValueError(NO_OVERLOAD)
    verdict = ask({**_parts(value, kind), "verb": verb})
    return _value(DECISION, reason=verdict.reason, allowed="yes" if verdict.allowed else "")


def _error(value: Opaque) -> str:
    """Our authorizers have no errors: what is not allowed is refused with a reason."""
    _parts(value, DECISION)
    return ""


FUNCTIONS: Library = {}
MEMBERS: Library = {
    "serviceAccount": ((MAP, (MAP, STRING, STRING), _service_account),),
    "path": ((MAP, (MAP, STRING), _path),),
    "group": ((MAP, (MAP, STRING), _group),),
    "resource": ((MAP, (MAP, STRING), _resource),),
    **{
        part: ((MAP, (MAP, STRING), _with(part)),)
        for part in ("subresource", "namespace", "name", "fieldSelector", "labelSelector")
    },
    "check": ((MAP, (MAP, STRING), _check),),
    "allowed": ((BOOL, (MAP,), lambda decision: bool(_parts(decision, DECISION)["allowed"])),),
    "reason": ((STRING, (MAP,), lambda decision: _parts(decision, DECISION)["reason"]),),
    "errored": ((BOOL, (MAP,), lambda decision: bool(_error(decision))),),
    "error": ((STRING, (MAP,), _error),),
}
