"""Policies as people bound them to requests: which see one, and with which parameters.

Rules and words: k8s.io/apiserver pkg/admission/plugin/policy (generic dispatcher, matching).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic

from minikube.admission.base import Attributes
from minikube.admission.policies.base import Binding, Bound, Matcher, Parameters, Policy, UnknownKind, matcher
from minikube.admission.webhooks.matching import (
    exempt,
    matched_resource,
    selects_namespace,
    selects_object,
)
from minikube.admission.webhooks.versions import Versions, shown
from minikube.api.admissionregistration_v1 import ParamKind, ParamRef
from minikube.api.core_v1 import Namespace
from minikube.api.meta import Resource, to_dict
from minikube.api.selectors import compile_selector
from minikube.client.base import Informer, Informers
from minikube.errors import ApiError, InternalError, NotFound


class ConfigurationError(Exception):
    """The binding cannot be used; counts as the failure policy says."""


class BoundPolicies(Generic[Policy, Binding]):
    """All policies of one kind with their bindings."""

    def __init__(
        self,
        kind: type[Policy],
        binding: type[Binding],
        informers: Informers,
        parameters: Parameters,
        versions: Versions,
    ) -> None:
        self._policies: Informer[Policy] = informers.of(kind)
        self._bindings: Informer[Binding] = informers.of(binding)
        self._namespaces = informers.of(Namespace).lister
        self._parameters = parameters
        self._versions = versions
        self._bound: Sequence[Bound[Policy, Binding]] | None = ()
        self._policies.add_handler(self._changed)
        self._bindings.add_handler(self._changed)

    def _changed(self, old: object, new: object) -> None:
        self._bound = None

    def seeing(self, request: Attributes) -> Iterator[tuple[Bound[Policy, Binding], Resource]]:
        """Those that want to see the request, and as what, as it is when each has its turn."""
        if self._bound is None:
            self._bound = list(self._all_bound())
        if not self._bound or exempt(request.resource):
            return
        for bound in self._bound:
            resource = self._matched(bound, request)
            if resource is not None:
                yield bound, resource

    def _all_bound(self) -> Iterator[Bound[Policy, Binding]]:
        """In order of the policies' and bindings' names."""
        for binding in sorted(
            self._bindings.lister.list(), key=lambda each: (each.spec.policy_name, each.metadata.name)
        ):
            policy = self._policies.lister.get(binding.spec.policy_name)
            if policy is not None:
                constraints = matcher(policy.spec.match_constraints)
                yield Bound(policy, binding, constraints, matcher(binding.spec.match_resources))

    def _matched(self, bound: Bound[Policy, Binding], request: Attributes) -> Resource | None:
        """The resource under which the policy wants to see the request; None if it or its binding does not."""
        found = self._covered(bound.constraints, request)
        if found is None:
            return None
        rules = bound.where.resources
        unrestricted = not rules.resource_rules and not rules.exclude_resource_rules
        if unrestricted:
            return found if self._selected(bound.where, request) else None
        return found if self._covered(bound.where, request) is not None else None

    def _covered(self, wanted: Matcher, request: Attributes) -> Resource | None:
        rules, equivalents = wanted.resources, list(self._versions.others(request.resource))
        if not self._selected(wanted, request):
            return None
        if matched_resource(rules.exclude_resource_rules, rules.match_policy, request, equivalents) is not None:
            return None
        if not rules.resource_rules:
            return request.resource
        return matched_resource(rules.resource_rules, rules.match_policy, request, equivalents)

    def _selected(self, wanted: Matcher, request: Attributes) -> bool:
        return selects_object(wanted.objects, request) and selects_namespace(
            wanted.namespaces, request, self._namespaces
        )

    async def view(self, request: Attributes, resource: Resource) -> Attributes:
        """The request as `resource` shows it. Raises ConfigurationError."""
        try:
            return await shown(request, resource, self._versions)
        except InternalError as error:
            raise ConfigurationError(f"failed to convert object version: {error}") from error

    def namespace(self, request: Attributes) -> Mapping[str, Any] | None:
        """Its JSON tree, for `namespaceObject`. Raises NotFound."""
        if not request.namespace or request.resource.plural == "namespaces":
            return None
        namespace = self._namespaces.get(request.namespace)
        if namespace is None:
            raise NotFound.of("namespaces", "", request.namespace)
        return to_dict(namespace)

    async def parameters(self, kind: ParamKind | None, ref: ParamRef | None, namespace: str) -> Sequence[Any]:
        """What `params` is, once for each evaluation. Raises ConfigurationError."""
        if kind is None or ref is None:
            return [None]
        try:
            if self._parameters.namespaced(kind):
                where = ref.namespace or namespace
                if not where:
                    raise ConfigurationError(
                        "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                    )
            elif ref.namespace:
                raise ConfigurationError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
            else:
                where = ""
            found = await self._found(kind, ref, where)
        except UnknownKind as error:
            raise ConfigurationError(f"paramKind kind `{kind.api_version}, Kind={kind.kind}` not known") from error
        except ApiError as error:
            raise ConfigurationError(str(error)) from error
        if not found and ref.parameter_not_found_action == "Deny":
            raise ConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction")
        return found

    async def _found(self, kind: ParamKind, ref: ParamRef, namespace: str) -> Sequence[dict[str, Any]]:
        if ref.name:
            one = await self._parameters.named(kind, namespace, ref.name)
            return [] if one is None else [one]
        if ref.selector is None:
            raise ConfigurationError("one of name or selector must be provided")
        return await self._parameters.selected(kind, namespace, compile_selector(ref.selector))
