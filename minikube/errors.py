"""The errors an API request can end in, each one a metav1.Status.

    ApiError                     code  reason
    ├── BadRequest               400   BadRequest
    ├── Unauthorized             401   Unauthorized
    ├── Forbidden                403   Forbidden
    ├── NotFound                 404   NotFound
    ├── MethodNotAllowed         405   MethodNotAllowed
    ├── NotAcceptable            406   NotAcceptable
    ├── Conflict                 409   Conflict
    │   └── AlreadyExists        409   AlreadyExists
    ├── Gone                     410   Gone
    │   └── Expired              410   Expired
    ├── TooLarge                 413   RequestEntityTooLarge
    ├── UnsupportedMediaType     415   UnsupportedMediaType
    ├── Invalid                  422   Invalid          (causes: one FieldError each)
    ├── TooManyRequests          429   TooManyRequests
    ├── InternalError            500   InternalError
    ├── ServiceUnavailable       503   ServiceUnavailable
    │   └── NodeUnreachable      503   ServiceUnavailable
    └── Timeout                  504   Timeout

The rules of wording are those of k8s.io/apimachinery/pkg/api/errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One thing wrong with one field. `reason` is FieldValueRequired, FieldValueInvalid and so on; `detail`
    is what upstream prints after the colon, e.g. ``Required value`` or ``Invalid value: "x": must be …``."""

    path: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


class ApiError(Exception):
    """Base of everything a request can be answered with instead of success."""

    code: int = 500
    reason: str = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        causes: Sequence[Mapping[str, str]] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})
        self.causes = tuple(causes)
        self.retry_after = retry_after

    def status(self) -> dict[str, Any]:
        """This error as a metav1.Status object."""
        details = dict(self.details)
        if self.causes:
            details["causes"] = [dict(cause) for cause in self.causes]
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        out: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if details:
            out["details"] = details
        out["code"] = self.code
        return out


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class Forbidden(ApiError):
    """`pods "a" is forbidden: why`; use `of` for that wording."""

    code, reason = 403, "Forbidden"

    @classmethod
    def of(cls, resource: str, group: str, name: str, why: str) -> Forbidden:
        details = {"name": name, "group": group, "kind": resource}
        subject = f'{qualified(resource, group)} "{name}"' if name else qualified(resource, group)
        return cls(f"{subject} is forbidden: {why}", details={k: v for k, v in details.items() if v})


class NotFound(ApiError):
    code, reason = 404, "NotFound"

    @classmethod
    def of(cls, resource: str, group: str, name: str) -> NotFound:
        details = {"name": name, "group": group, "kind": resource}
        return cls(
            f'{qualified(resource, group)} "{name}" not found', details={k: v for k, v in details.items() if v}
        )

    @classmethod
    def path(cls) -> NotFound:
        """No such path or resource at all."""
        return cls("the server could not find the requested resource")


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class Conflict(ApiError):
    code, reason = 409, "Conflict"

    @classmethod
    def of(cls, resource: str, group: str, name: str, why: str) -> Conflict:
        details = {"name": name, "group": group, "kind": resource}
        return cls(
            f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}',
            details={k: v for k, v in details.items() if v},
        )


class AlreadyExists(Conflict):
    code, reason = 409, "AlreadyExists"

    @classmethod
    def of(cls, resource: str, group: str, name: str, why: str = "") -> AlreadyExists:
        details = {"name": name, "group": group, "kind": resource}
        return cls(
            f'{qualified(resource, group)} "{name}" already exists', details={k: v for k, v in details.items() if v}
        )


class Gone(ApiError):
    code, reason = 410, "Gone"


class Expired(Gone):
    """`continue_`: the token to go on with, at the price of an inconsistent list."""

    code, reason = 410, "Expired"

    def __init__(self, message: str, *, continue_: str = "") -> None:
        super().__init__(message)
        self.continue_ = continue_

    def status(self) -> dict[str, Any]:
        out = super().status()
        if self.continue_:
            out["metadata"] = {"continue": self.continue_}
        return out


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """`Pod "a" is invalid: spec.x: Required value`, several errors in one bracketed list."""

    code, reason = 422, "Invalid"

    @classmethod
    def of(cls, kind: str, group: str, name: str, errors: Iterable[FieldError]) -> Invalid:
        found = list(dict.fromkeys(errors))
        told = list(dict.fromkeys(str(error) for error in found))
        text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
        subject = f"{kind}.{group}" if group else kind
        details = {"name": name, "group": group, "kind": kind}
        return cls(
            f'{subject} "{name}" is invalid: {text}',
            details={k: v for k, v in details.items() if v},
            causes=[{"reason": e.reason, "message": e.detail, "field": e.path} for e in found],
        )


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class NodeUnreachable(ServiceUnavailable):
    """No way to the agent of a node, or from it to what was asked for."""


class Timeout(ApiError):
    code, reason = 504, "Timeout"


BY_REASON: Mapping[str, type[ApiError]] = {
    kind.reason: kind
    for kind in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, Conflict, AlreadyExists,
        Gone, Expired, TooLarge, UnsupportedMediaType, Invalid, TooManyRequests, InternalError, ServiceUnavailable,
        Timeout,
    )
}  # fmt: skip
BY_CODE: Mapping[int, type[ApiError]] = {
    kind.code: kind for kind in reversed(list(BY_REASON.values())) if kind not in (AlreadyExists, Expired)
}


def from_status(status: Mapping[str, Any]) -> ApiError:
    """The error that a Status answer of some server means."""
    kind = BY_REASON.get(status.get("reason", "")) or BY_CODE.get(status.get("code", 500)) or ApiError
    details = dict(status.get("details") or {})
    causes = details.pop("causes", ())
    retry_after = details.pop("retryAfterSeconds", None)
    error = kind.__new__(kind)
    if isinstance(error, Expired):
        error.continue_ = (status.get("metadata") or {}).get("continue", "")
    ApiError.__init__(
        error, status.get("message", ""), details=details, causes=causes or (), retry_after=retry_after
    )
    error.code = status.get("code") or error.code
    error.reason = status.get("reason", error.reason)
    return error


def qualified(resource: str, group: str) -> str:
    """deployments.apps, or pods for the core group."""
    return f"{resource}.{group}" if group else resource
