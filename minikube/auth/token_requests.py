"""TokenRequest: a token for a service account, for some audiences, some time, bound to a pod, secret or node.

Rules: kubernetes pkg/registry/core/serviceaccount/storage/token.go and pkg/apis/authentication/validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from minikube.api.authentication_v1 import BoundObjectReference, TokenRequest, TokenRequestStatus
from minikube.api.core_v1 import Node, Pod, Secret, ServiceAccount
from minikube.api.meta import ObjectMeta
from minikube.auth.tokens import Bound, Reference, ServiceAccountTokens
from minikube.client.base import Informers
from minikube.errors import BadRequest, Conflict, FieldError, Invalid, NotFound
from minikube.kit.clock import Clock

DEFAULT_SECONDS, MIN_SECONDS, MAX_SECONDS = 3600, 600, 1 << 32
MOUNTED_SECONDS = 3607
"""What pods ask for their mounted token; such a token works for a year and warns after the time asked for, because
old clients read the file only once."""
EXTENDED = timedelta(days=365)


class TokenRequests:
    def __init__(self, tokens: ServiceAccountTokens, informers: Informers, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock
        self._accounts = informers.of(ServiceAccount).lister
        self._pods = informers.of(Pod).lister
        self._secrets = informers.of(Secret).lister
        self._nodes = informers.of(Node).lister

    def issue(self, namespace: str, name: str, request: TokenRequest) -> TokenRequest:
        """The answered request. Raises NotFound, Invalid, BadRequest, Conflict."""
        account = self._accounts.get(name, namespace)
        if account is None:
            raise NotFound.of("serviceaccounts", "", name)
        spec = request.spec
        seconds = DEFAULT_SECONDS if spec.expiration_seconds is None else spec.expiration_seconds
        problems = list(_problems(seconds))
        if problems:
            raise Invalid.of("TokenRequest", "authentication.k8s.io", "", problems)
        audiences = spec.audiences or (self._tokens.issuer,)
        bound = Bound(namespace, Reference(name, account.metadata.uid))
        if spec.bound_object_ref is not None:
            bound = self._bound(bound, spec.bound_object_ref)
        now = self._clock.now()
        expiry = until = now + timedelta(seconds=seconds)
        if seconds == MOUNTED_SECONDS and audiences == (self._tokens.issuer,) and bound.pod is not None:
            until = now + EXTENDED
            bound = msgspec.structs.replace(bound, warn_after=int(expiry.timestamp()))
        token = self._tokens.sign(bound, until=until, audiences=audiences)
        return msgspec.structs.replace(
            request,
            metadata=ObjectMeta(name=name, namespace=namespace, creation_timestamp=now.replace(microsecond=0)),
            spec=msgspec.structs.replace(spec, audiences=audiences, expiration_seconds=seconds),
            status=TokenRequestStatus(token=token, expiration_timestamp=expiry.replace(microsecond=0)),
        )

    def _bound(self, bound: Bound, about: BoundObjectReference) -> Bound:
        """What the token dies with; a pod's node is told along with the pod."""
        what = (about.api_version, about.kind)
        if what == ("v1", "Pod"):
            pod = self._pods.get(about.name, bound.namespace)
            if pod is None:
                raise NotFound.of("pods", "", about.name)
            if pod.spec.service_account_name != bound.serviceaccount.name:
                raise BadRequest(
                    f'cannot bind token for serviceaccount "{bound.serviceaccount.name}" to pod running with '
                    "different serviceaccount name."
                )
            node = self._node(pod.spec.node_name) if pod.spec.node_name else None
            return msgspec.structs.replace(bound, pod=_reference(about, pod.metadata), node=node)
        if what == ("v1", "Secret"):
            secret = self._secrets.get(about.name, bound.namespace)
            if secret is None:
                raise NotFound.of("secrets", "", about.name)
            return msgspec.structs.replace(bound, secret=_reference(about, secret.metadata))
        if what == ("v1", "Node"):
            found = self._nodes.get(about.name)
            if found is None:
                raise NotFound.of("nodes", "", about.name)
            return msgspec.structs.replace(bound, node=_reference(about, found.metadata))
        group, _, version = about.api_version.rpartition("/")
        raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={about.kind}")

    def _node(self, name: str) -> Reference:
        node = self._nodes.get(name)
        return Reference(name, node.metadata.uid if node is not None else "")


def _problems(seconds: int) -> Iterator[FieldError]:
    where = "spec.expirationSeconds"
    if seconds < MIN_SECONDS:
        why = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        yield FieldError(where, "FieldValueInvalid", why)
    if seconds > MAX_SECONDS:
        why = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
        yield FieldError(where, "FieldValueInvalid", why)


def _reference(about: BoundObjectReference, found: ObjectMeta) -> Reference:
    if about.uid and about.uid != found.uid:
        why = (
            f"the UID in the bound object reference ({about.uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise Conflict.of(about.kind, "", about.name, why)
    return Reference(about.name, found.uid)
