"""What resource claims, their templates and device classes may ask for (pkg/apis/resource/validation)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from minikube.api.names import qualified_name_problems
from minikube.api.resource_v1 import (
    DeviceClaim,
    DeviceClaimConfiguration,
    DeviceClass,
    DeviceClassConfiguration,
    DeviceConstraint,
    DeviceDerivedAttribute,
    DeviceRequest,
    DeviceSubRequest,
    ExactDeviceRequest,
    ResourceClaim,
    ResourceClaimSpec,
    ResourceClaimTemplate,
)
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.amounts import is_extended
from minikube.resources.rules.device_status import claim_status
from minikube.resources.rules.devices import (
    MOST_CONFIGS,
    MOST_REQUESTS,
    device_class,
    device_expression,
    distinct,
    each,
    fully_qualified,
    label,
    opaque,
    selectors,
    toleration,
)
from minikube.resources.rules.invalid import at, immutable, invalid, not_supported, required
from minikube.resources.rules.labelling import template_metadata

_MOST_CONSTRAINTS, _MOST_ALTERNATIVES = 32, 8
_MODES = ("All", "ExactCount")
_REFERENCE = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
Constrained = Mapping[str, frozenset[str]]
"""The attributes that constraints name, by request (or request/subrequest); "" stands for all requests."""


class ResourceClaimRules(Strategy[ResourceClaim]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(self, new: ResourceClaim, old: ResourceClaim | None) -> Iterator[FieldError]:
        if old is None:
            yield from claim_spec(new.spec, "spec")
        else:
            yield from immutable("spec", new.spec, old.spec)

    def validate_status(self, new: ResourceClaim, old: ResourceClaim) -> Iterator[FieldError]:
        names = request_names(new.spec.devices or DeviceClaim())
        yield from claim_status(new, old.status, partial(request_reference, names=names))


class ResourceClaimTemplateRules(Strategy[ResourceClaimTemplate]):
    def validate(self, new: ResourceClaimTemplate, old: ResourceClaimTemplate | None) -> Iterator[FieldError]:
        if old is None:
            yield from template_metadata(new.spec.metadata, "spec.metadata")
            yield from claim_spec(new.spec.spec, "spec.spec")
        else:
            yield from immutable("spec", new.spec, old.spec)


class DeviceClassRules(Strategy[DeviceClass]):
    def validate(self, new: DeviceClass, old: DeviceClass | None) -> Iterator[FieldError]:
        spec = new.spec
        same = old is not None and old.spec.selectors == spec.selectors
        stored = (
            frozenset(one.cel.expression for one in spec.selectors if one.cel is not None) if same else frozenset()
        )
        yield from selectors(spec.selectors, "spec.selectors", stored)
        kept = old is not None and old.spec.config == spec.config

        def check(one: DeviceClassConfiguration, path: str) -> Iterator[FieldError]:
            yield from opaque(one.opaque, f"{path}.opaque", stored=kept)

        yield from each(spec.config, "spec.config", MOST_CONFIGS, check)
        name = spec.extended_resource_name
        if name and not (is_extended(name) and not [*qualified_name_problems(f"requests.{name}")]):
            yield invalid("spec.extendedResourceName", name, "must be a valid extended resource name")


def claim_spec(spec: ResourceClaimSpec, path: str) -> Iterator[FieldError]:
    claim, path = spec.devices or DeviceClaim(), f"{path}.devices"
    names, constrained = request_names(claim), _constrained(claim.constraints)
    yield from distinct(
        claim.requests, f"{path}.requests", MOST_REQUESTS, partial(_request, constrained=constrained), _name
    )
    yield from each(claim.constraints, f"{path}.constraints", _MOST_CONSTRAINTS, partial(_constraint, names=names))
    yield from each(claim.config, f"{path}.config", MOST_CONFIGS, partial(_configuration, names=names))


def _name(one: DeviceRequest | DeviceSubRequest | DeviceDerivedAttribute) -> str:
    return one.name


def request_names(claim: DeviceClaim) -> frozenset[str]:
    """Everything that a reference to a request may say."""
    found = {one.name for one in claim.requests}
    found.update(f"{one.name}/{sub.name}" for one in claim.requests for sub in one.first_available)
    return frozenset(found)


def request_reference(name: str, path: str, names: frozenset[str]) -> Iterator[FieldError]:
    parts = name.split("/")
    if len(parts) > 2:
        yield invalid(path, name, _REFERENCE)
        return
    for part in parts:
        yield from label(part, path)
    if name not in names:
        yield invalid(path, name, _REFERENCE)


def _constrained(constraints: Sequence[DeviceConstraint]) -> Constrained:
    found: dict[str, set[str]] = defaultdict(set)
    for one in constraints:
        for name in one.requests or ("",):
            found[name].add(one.match_attribute or one.distinct_attribute)
    return {name: frozenset(attributes) for name, attributes in found.items()}


def _request(request: DeviceRequest, path: str, constrained: Constrained) -> Iterator[FieldError]:
    yield from label(request.name, f"{path}.name")
    why = "exactly one of `exactly` or `firstAvailable` is required"
    if request.exactly is None and not request.first_available:
        yield required(path, why)
    elif request.exactly is not None and request.first_available:
        yield invalid(path, None, f"{why}, but multiple fields are set")
    elif request.exactly is not None:
        yield from _asked(request.exactly, f"{path}.exactly", request.name, constrained)
    else:

        def check(sub: DeviceSubRequest, where: str) -> Iterator[FieldError]:
            yield from label(sub.name, f"{where}.name")
            yield from _asked(sub, where, f"{request.name}/{sub.name}", constrained)

        yield from distinct(request.first_available, f"{path}.firstAvailable", _MOST_ALTERNATIVES, check, _name)


def _asked(
    request: ExactDeviceRequest | DeviceSubRequest, path: str, name: str, constrained: Constrained
) -> Iterator[FieldError]:
    yield from device_class(request.device_class_name, f"{path}.deviceClassName")
    yield from selectors(request.selectors, f"{path}.selectors")
    yield from distinct(
        request.derived_attributes,
        f"{path}.derivedAttributes",
        -1,
        partial(_derived, request=name, constrained=constrained),
        _name,
    )
    count = request.count or 0
    if request.allocation_mode == "All" and count != 0:
        yield invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'")
    elif request.allocation_mode == "ExactCount" and count <= 0:
        yield invalid(f"{path}.count", count, "must be greater than zero")
    elif request.allocation_mode not in _MODES:
        yield not_supported(f"{path}.allocationMode", request.allocation_mode, _MODES)
    for index, one in enumerate(request.tolerations):
        yield from toleration(one, at(f"{path}.tolerations", index))


def _derived(
    attribute: DeviceDerivedAttribute, path: str, request: str, constrained: Constrained
) -> Iterator[FieldError]:
    if not attribute.name:
        yield required(f"{path}.name")
    elif not any(attribute.name in constrained.get(of, ()) for of in ("", request, request.partition("/")[0])):
        of = "at least one matchAttribute or distinctAttribute constraint"
        why = f"must be referenced by {of} targeting this request"
        yield invalid(f"{path}.name", attribute.name, why)
    yield from device_expression(attribute.expression, f"{path}.expression")


def _constraint(constraint: DeviceConstraint, path: str, names: frozenset[str]) -> Iterator[FieldError]:
    yield from _references(constraint.requests, f"{path}.requests", names)
    match, differ = constraint.match_attribute, constraint.distinct_attribute
    if match:
        yield from fully_qualified(match, f"{path}.matchAttribute")
    elif differ:
        yield from fully_qualified(differ, f"{path}.distinctAttribute")
    else:
        why = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
        yield required(path, why)


def _references(given: Sequence[str], path: str, names: frozenset[str]) -> Iterator[FieldError]:
    yield from distinct(given, path, MOST_REQUESTS, partial(request_reference, names=names), str)


def _configuration(config: DeviceClaimConfiguration, path: str, names: frozenset[str]) -> Iterator[FieldError]:
    yield from _references(config.requests, f"{path}.requests", names)
    yield from opaque(config.opaque, f"{path}.opaque")
