"""What reviews may say, and what is asked of authorizers for them."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.api.authorization_v1 import LocalSubjectAccessReview, SelfSubjectAccessReview, SubjectAccessReview
from minikube.api.meta import from_dict
from minikube.auth.access_reviews import Review, action_of, check
from minikube.errors import Invalid

LIST = {"verb": "list", "resource": "pods"}


def review(kind: type[Review] = SubjectAccessReview, metadata: dict[str, Any] | None = None, **spec: Any) -> Review:
    if kind is not SelfSubjectAccessReview:
        spec = {"user": "eve", **spec}
    return from_dict(kind, {"metadata": metadata or {}, "spec": spec})


def selecting(**selector: Any) -> dict[str, Any]:
    return {"resourceAttributes": {**LIST, "fieldSelector": selector}}


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (review(), "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
        (review(user="", resourceAttributes=LIST), "at least one of user or group must be specified"),
        (review(metadata={"name": "x"}, resourceAttributes=LIST), 'metadata: Invalid value: "": must be empty'),
        (review(**selecting()), "requirements or rawSelector is required"),
        (
            review(**selecting(rawSelector="a=b", requirements=[{"key": "a", "operator": "Exists"}])),
            "may not specified at the same time as requirements",
        ),
        (
            review(**selecting(requirements=[{"key": "a", "operator": "In"}])),
            "requirements[0].values: Required value",
        ),
        (
            review(**selecting(requirements=[{"key": "", "operator": "Exists", "values": ["x"]}])),
            "requirements[0].values: Forbidden",
        ),
        (review(LocalSubjectAccessReview, resourceAttributes=LIST), "must match metadata.namespace: n"),
        (
            review(LocalSubjectAccessReview, nonResourceAttributes={"verb": "get", "path": "/"}),
            "disallowed on this kind of request",
        ),
    ],
)
def test_reviews_that_are_refused(asked: Review, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(asked, "n" if isinstance(asked, LocalSubjectAccessReview) else "")
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("selector", "fields"),
    [
        ({"rawSelector": "spec.nodeName=a"}, "spec.nodeName=a"),
        ({"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["a"]}]}, "spec.nodeName=a"),
        ({"requirements": [{"key": "x", "operator": "In", "values": ["a", "b"]}]}, ""),
        ({"requirements": [{"key": "x", "operator": "Near", "values": ["a"]}]}, ""),
    ],
)
def test_selectors_are_what_a_list_would_have(selector: dict[str, Any], fields: str) -> None:
    asked = review(SelfSubjectAccessReview, **selecting(**selector))
    check(asked)
    assert action_of(asked.spec.resource_attributes, None).fields == fields
