"""Reviews: questions about who somebody is and what he may do. They are answered, never stored."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from minikube.api.authentication_v1 import (
    SelfSubjectReview,
    SelfSubjectReviewStatus,
    TokenReview,
    TokenReviewStatus,
)
from minikube.api.authentication_v1 import UserInfo as Info
from minikube.api.authorization_v1 import (
    LocalSubjectAccessReview,
    NonResourceAttributes,
    NonResourceRule,
    ResourceAttributes,
    ResourceRule,
    SelfSubjectAccessReview,
    SelfSubjectRulesReview,
    SubjectAccessReview,
    SubjectAccessReviewStatus,
    SubjectRulesReviewStatus,
)
from minikube.api.meta import T, from_dict, to_dict
from minikube.apiserver import views
from minikube.apiserver.answers import answer, offered
from minikube.apiserver.request_info import RequestInfo
from minikube.apiserver.requests import read_shaped
from minikube.apiserver.server import Subresource
from minikube.auth.access_reviews import action_of, check
from minikube.auth.base import Authenticator, Authorizer, Credentials, RuleResolver, User
from minikube.auth.node_names import node_of
from minikube.auth.verifier import audiences_of, unverified
from minikube.errors import BadRequest, Unauthorized
from minikube.resources.reviews import KINDS

OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
KIND_OF = {kind.type: kind for kind in KINDS}
NODE_RULES = "node authorizer does not support user rule resolution"


class Reviews:
    """`audience`: whom tokens are for that a review without audiences asks about."""

    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, rules: RuleResolver, audience: str
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._rules = rules
        self._audience = audience

    def table(self) -> dict[str, Subresource]:
        return {
            "selfsubjectaccessreviews": self.own_access,
            "subjectaccessreviews": self.access,
            "localsubjectaccessreviews": self.local_access,
            "selfsubjectrulesreviews": self.own_rules,
            "selfsubjectreviews": self.own_self,
            "tokenreviews": self.token,
        }

    async def own_access(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        review = await _read(request, SelfSubjectAccessReview, user)
        check(review)
        spec = review.spec
        status = self._decide(user, spec.resource_attributes, spec.non_resource_attributes)
        return _answered(request, msgspec.structs.replace(review, status=status))

    async def access(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        return _answered(request, self._reviewed(await _read(request, SubjectAccessReview, user)))

    async def answer_access(self, namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """A SubjectAccessReview of a client in process."""
        return to_dict(self._reviewed(from_dict(SubjectAccessReview, body)))

    def _reviewed(self, review: SubjectAccessReview) -> SubjectAccessReview:
        check(review)
        spec = review.spec
        about = User(spec.user, spec.uid, spec.groups, dict(spec.extra))
        status = self._decide(about, spec.resource_attributes, spec.non_resource_attributes)
        return msgspec.structs.replace(review, status=status)

    async def local_access(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        review = await _read(request, LocalSubjectAccessReview, user)
        if review.metadata.namespace not in ("", info.namespace):
            raise BadRequest(OTHER_NAMESPACE)
        check(review, info.namespace)
        spec = review.spec
        about = User(spec.user, spec.uid, spec.groups, dict(spec.extra))
        status = self._decide(about, spec.resource_attributes, spec.non_resource_attributes)
        return _answered(request, msgspec.structs.replace(review, status=status))

    async def own_rules(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        review = await _read(request, SelfSubjectRulesReview, user)
        if not review.spec.namespace:
            raise BadRequest("no namespace on request")
        rules = self._rules.rules_of(user, review.spec.namespace)
        incomplete = node_of(user) is not None
        status = SubjectRulesReviewStatus(
            incomplete=incomplete,
            evaluation_error=NODE_RULES if incomplete else "",
            resource_rules=tuple(
                ResourceRule(
                    api_groups=rule.api_groups,
                    resource_names=rule.resource_names,
                    resources=rule.resources,
                    verbs=rule.verbs,
                )
                for rule in rules
                if rule.resources
            ),
            non_resource_rules=tuple(
                NonResourceRule(non_resource_urls=rule.non_resource_urls, verbs=rule.verbs)
                for rule in rules
                if rule.non_resource_urls
            ),
        )
        return _answered(request, msgspec.structs.replace(review, status=status))

    async def own_self(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        review = await _read(request, SelfSubjectReview, user)
        status = SelfSubjectReviewStatus(user_info=_info(user))
        return _answered(request, msgspec.structs.replace(review, status=status))

    async def token(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        review = await _read(request, TokenReview, user)
        token, audiences = review.spec.token, review.spec.audiences
        if not token:
            raise BadRequest("token is required for TokenReview in authentication")
        try:
            found = await self._authenticator.authenticate(Credentials(bearer=token, audiences=audiences))
        except Unauthorized as error:
            return _answered(
                request, msgspec.structs.replace(review, status=TokenReviewStatus(error=error.message))
            )
        meant = audiences_of(unverified(token)) or (self._audience,)
        both = tuple(one for one in meant if one in (audiences or (self._audience,)))
        who = _info(found) if found is not None else None
        status = TokenReviewStatus(authenticated=who is not None, user=who, audiences=both)
        return _answered(request, msgspec.structs.replace(review, status=status))

    def _decide(
        self, user: User, resource: ResourceAttributes | None, path: NonResourceAttributes | None
    ) -> SubjectAccessReviewStatus:
        decision = self._authorizer.authorize(user, action_of(resource, path))
        return SubjectAccessReviewStatus(allowed=decision.allowed, reason=decision.reason)


async def _read(request: web.BaseRequest, type: type[T], user: User) -> T:
    """Raises BadRequest, Invalid, NotAcceptable, UnsupportedMediaType."""
    offered(request)
    _, body = await read_shaped(request, KIND_OF[type], user)
    return from_dict(type, body)


def _answered(request: web.BaseRequest, review: Any) -> web.StreamResponse:
    offer = offered(request)
    return answer(views.plain(to_dict(review), KIND_OF[type(review)].definition, offer), offer, status=201)


def _info(user: User) -> Info:
    return Info(username=user.name, uid=user.uid, groups=user.groups, extra=user.extra)
