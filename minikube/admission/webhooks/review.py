"""admission.k8s.io/v1 AdmissionReview: the question as a webhook gets it, and its answer read. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

from minikube.admission.base import Attributes
from minikube.admission.webhooks.base import Answer, CallFailed
from minikube.api.meta import Resource

OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


def question(request: Attributes, uid: str, resource: Resource) -> dict[str, Any]:
    """`resource` is the one whose rule matched; the objects are in its version already (versions.shown)."""
    own = request.resource
    kind = _kind_of(request, resource)
    asked: dict[str, Any] = {
        "uid": uid,
        "kind": kind,
        "resource": _name(resource),
        "requestKind": _kind_of(request, own),
        "requestResource": _name(own),
        "name": request.name,
        "namespace": request.namespace,
        "operation": request.operation,
        "userInfo": {
            "username": request.user.name,
            "uid": request.user.uid,
            "groups": list(request.user.groups),
            "extra": {key: list(values) for key, values in request.user.extra.items()},
        },
        "object": request.object,
        "oldObject": request.old,
        "dryRun": request.dry_run,
        "options": None,
    }
    if request.subresource:
        asked["subResource"] = asked["requestSubResource"] = request.subresource
    if request.operation in OPTIONS:
        head = {"kind": OPTIONS[request.operation], "apiVersion": "meta.k8s.io/v1"}
        asked["options"] = {**head, **request.options}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": asked}


def answer(body: bytes, uid: str) -> Answer:
    """Raises CallFailed."""
    try:
        review = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise CallFailed(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(review, dict):
        raise CallFailed("couldn't get version/kind; json parse error: an object is expected")
    if (review.get("apiVersion"), review.get("kind")) != ("admission.k8s.io/v1", "AdmissionReview"):
        got = f"{review.get('apiVersion', '')}, Kind={review.get('kind', '')}"
        raise CallFailed(f"expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {got}")
    said = review.get("response")
    if not isinstance(said, dict):
        raise CallFailed("webhook response was absent")
    if said.get("uid") != uid:
        raise CallFailed(f'expected response.uid="{uid}", got "{said.get("uid", "")}"')
    patch, kind = said.get("patch"), said.get("patchType")
    if patch and kind != "JSONPatch":
        raise CallFailed(f'expected response.patchType="JSONPatch", got "{kind or ""}"')
    return Answer(
        allowed=said.get("allowed") is True,
        status=said.get("status") or {},
        patch=_operations(patch) if patch else (),
        warnings=tuple(str(each) for each in said.get("warnings") or ()),
        audit_annotations=said.get("auditAnnotations") or {},
    )


def _operations(patch: object) -> tuple[Mapping[str, object], ...]:
    try:
        decoded = msgspec.json.decode(base64.b64decode(str(patch), validate=True), type=list[dict[str, Any]])
    except (binascii.Error, msgspec.MsgspecError) as error:
        raise CallFailed(f"webhook returned a patch that is no JSON patch: {error}") from error
    return tuple(decoded)


def _name(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


def _kind_of(request: Attributes, resource: Resource) -> dict[str, str]:
    """Subresources may speak another kind (pods/exec: PodExecOptions, deployments/scale: Scale)."""
    tree = request.object if request.object is not None else request.old
    spoken = str((tree or {}).get("apiVersion", ""))
    kind = str((tree or {}).get("kind", ""))
    if not request.subresource or not kind or kind == request.resource.kind:
        return {"group": resource.group, "version": resource.version, "kind": resource.kind}
    group, _, version = spoken.rpartition("/")
    return {"group": group, "version": version, "kind": kind}
