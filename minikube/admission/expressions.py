"""What expressions about a request see, and match conditions answered.

Rules and words: k8s.io/apiserver pkg/admission/plugin/cel and webhook/matchconditions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minikube.admission.base import Attributes
from minikube.admission.webhooks.review import question
from minikube.api.admissionregistration_v1 import MatchCondition
from minikube.api.meta import Resource
from minikube.auth.accounts import account_groups, account_user
from minikube.auth.base import Action, Authorizer, User
from minikube.schema import cel_authority
from minikube.schema.cel import CelError, compile

_NOT_IN_REQUEST = frozenset({"uid", "object", "oldObject"})


def variables_of(request: Attributes, resource: Resource) -> dict[str, Any]:
    """Of `resources.rules.expressions.ADMISSION`; the objects are in its version already (versions.shown)."""
    asked = question(request, "", resource)["request"]
    return {
        "object": request.object,
        "oldObject": request.old,
        "request": {name: value for name, value in asked.items() if name not in _NOT_IN_REQUEST},
        "authorizer": cel_authority.authorizer(
            {
                "group": resource.group,
                "resource": resource.plural,
                "subresource": request.subresource,
                "namespace": request.namespace,
                "name": request.name,
            }
        ),
    }


def authority(authorizer: Authorizer, user: User) -> cel_authority.Authority:
    """Answers what `authorizer` is asked about the user of a request, or about a service account."""

    def answer(wanted: cel_authority.Wanted) -> cel_authority.Verdict:
        namespace, _, name = wanted["account"].partition("/")
        action = Action(
            wanted["verb"],
            group=wanted.get("group", ""),
            version="" if "path" in wanted else "*",
            resource=wanted.get("resource", ""),
            subresource=wanted.get("subresource", ""),
            namespace=wanted.get("namespace", ""),
            name=wanted.get("name", ""),
            path=wanted.get("path", ""),
            fields=wanted.get("fieldSelector", ""),
        )
        decision = authorizer.authorize(_account(namespace, name) if name else user, action)
        return cel_authority.Verdict(decision.allowed, decision.reason)

    return answer


def _account(namespace: str, name: str) -> User:
    return User(account_user(namespace, name), groups=account_groups(namespace))


def evaluate(text: str, data: Mapping[str, Any]) -> Any:
    """Raises CelError, which tells the expression."""
    try:
        return compile(text, tuple(data)).evaluate(data)
    except CelError as error:
        raise CelError(f"expression '{text}' resulted in error: {error}") from error


def all_met(conditions: Sequence[MatchCondition], data: Mapping[str, Any]) -> bool:
    """One that is false decides, whatever happens to the others. Raises CelError: some failed, none was false."""
    failed: list[str] = []
    for condition in conditions:
        try:
            if evaluate(condition.expression, data) is False:
                return False
        except CelError as error:
            failed.append(str(error))
    if failed:
        told = list(dict.fromkeys(failed))
        raise CelError(told[0] if len(told) == 1 else f"[{', '.join(told)}]")
    return True
