"""What a SubjectAccessReview may say, and the action that it asks about.

Rules and words: kubernetes pkg/apis/authorization/validation and pkg/registry/authorization/util (selectors as
KEP-4601 has them: those of a review are what an authorizer sees of a list or watch).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from minikube.api.authorization_v1 import (
    FieldSelectorAttributes,
    LabelSelectorAttributes,
    LocalSubjectAccessReview,
    NonResourceAttributes,
    ResourceAttributes,
    SelfSubjectAccessReview,
    SelfSubjectAccessReviewSpec,
    SubjectAccessReview,
)
from minikube.api.meta import ObjectMeta
from minikube.api.meta_v1 import FieldSelectorRequirement, LabelSelectorRequirement
from minikube.auth.base import Action
from minikube.errors import FieldError, Invalid

Review = SubjectAccessReview | LocalSubjectAccessReview | SelfSubjectAccessReview
_VALUED, _BARE = ("In", "NotIn"), ("Exists", "DoesNotExist")


def check(review: Review, namespace: str = "") -> None:
    """`namespace`: of a local review. Raises Invalid."""
    problems = list(_problems(review, namespace))
    if problems:
        raise Invalid.of(review.kind, review.resource.group, "", problems)


def action_of(resource: ResourceAttributes | None, path: NonResourceAttributes | None) -> Action:
    """Of a review that `check` has seen."""
    if resource is None:
        return Action(path.verb, path=path.path) if path is not None else Action("")
    return Action(
        resource.verb,
        resource.group,
        resource.version,
        resource.resource,
        resource.subresource,
        resource.namespace,
        resource.name,
        fields=_fields(resource.field_selector),
    )


def _fields(selector: FieldSelectorAttributes | None) -> str:
    """Requirements that a field selector cannot express are left out: that asks for more, never for less."""
    if selector is None:
        return ""
    signs = {"In": "=", "NotIn": "!="}
    said = (
        f"{each.key}{signs[each.operator]}{each.values[0]}"
        for each in selector.requirements
        if each.operator in signs and len(each.values) == 1
    )
    return selector.raw_selector or ",".join(said)


def _problems(review: Review, namespace: str) -> Iterator[FieldError]:
    spec = review.spec
    resource, path = spec.resource_attributes, spec.non_resource_attributes
    if not isinstance(spec, SelfSubjectAccessReviewSpec) and not spec.user and not spec.groups:
        yield _invalid("spec.user", '""', "at least one of user or group must be specified")
    if resource is not None and path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        yield _invalid("spec.nonResourceAttributes", '""', why)
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield _invalid("spec.resourceAttributes", "null", why)
    if resource is not None:
        yield from _selector_problems("spec.resourceAttributes.fieldSelector", resource.field_selector)
        yield from _selector_problems("spec.resourceAttributes.labelSelector", resource.label_selector)
    if isinstance(review, LocalSubjectAccessReview):
        if resource is not None and resource.namespace != namespace:
            where = "spec.resourceAttributes.namespace"
            yield _invalid(where, f'"{resource.namespace}"', f"must match metadata.namespace: {namespace}")
        if path is not None:
            why = "disallowed on this kind of request"
            yield _invalid("spec.nonResourceAttributes", '""', why)
    said = replace(review.metadata, namespace="") if namespace else review.metadata
    if said != ObjectMeta():
        why = "must be empty except for namespace" if namespace else "must be empty"
        yield _invalid("metadata", '""', why)


def _selector_problems(
    where: str, selector: FieldSelectorAttributes | LabelSelectorAttributes | None
) -> Iterator[FieldError]:
    if selector is None:
        return
    if selector.raw_selector and selector.requirements:
        why = "may not specified at the same time as requirements"
        yield _invalid(f"{where}.rawSelector", f'"{selector.raw_selector}"', why)
    if not selector.raw_selector and not selector.requirements:
        why = f"Required value: when {where} is specified, requirements or rawSelector is required"
        yield FieldError(f"{where}.requirements", "FieldValueRequired", why)
    requirements: tuple[FieldSelectorRequirement | LabelSelectorRequirement, ...] = selector.requirements
    for index, each in enumerate(requirements):
        at = f"{where}.requirements[{index}]"
        if not each.key:
            yield FieldError(f"{at}.key", "FieldValueRequired", "Required value: must be specified")
        if each.operator in _VALUED and not each.values:
            why = "Required value: must be specified when `operator` is 'In' or 'NotIn'"
            yield FieldError(f"{at}.values", "FieldValueRequired", why)
        if each.operator in _BARE and each.values:
            why = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield FieldError(f"{at}.values", "FieldValueForbidden", why)


def _invalid(where: str, value: str, why: str) -> FieldError:
    return FieldError(where, "FieldValueInvalid", f"Invalid value: {value}: {why}")
