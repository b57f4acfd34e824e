"""Kinds that are asked, not stored: token and access reviews."""

from __future__ import annotations

from minikube.api.authentication_v1 import SelfSubjectReview, TokenReview
from minikube.api.authorization_v1 import (
    LocalSubjectAccessReview,
    SelfSubjectAccessReview,
    SelfSubjectRulesReview,
    SubjectAccessReview,
)
from minikube.resources.declare import REVIEW, declare

KINDS = tuple(
    declare(kind, verbs=REVIEW)
    for kind in (
        SelfSubjectReview,
        TokenReview,
        LocalSubjectAccessReview,
        SelfSubjectAccessReview,
        SelfSubjectRulesReview,
        SubjectAccessReview,
    )
)
