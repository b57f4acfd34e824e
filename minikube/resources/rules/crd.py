"""What custom resource definitions and API services may say (apiextensions and apiregistration validation)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minikube.api.apiextensions_v1 import (
    CustomResourceConversion,
    CustomResourceDefinition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionVersion,
    JSONSchemaProps,
)
from minikube.api.apiregistration_v1 import APIService
from minikube.api.meta import to_dict
from minikube.api.names import label_1035_problems, path_segment_problems, subdomain_problems
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.expressions import Stored
from minikube.resources.rules.invalid import (
    at,
    forbidden,
    immutable,
    invalid,
    key,
    not_supported,
    quoted,
    required,
)
from minikube.resources.rules.schema import part, stored_in, validation_rules
from minikube.resources.warnings.definition import definition_warnings
from minikube.schema import regexp
from minikube.schema.jsonpath import JsonPathError, parse
from minikube.schema.structure import compile_value
from minikube.schema.validate import validate

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
APPROVAL = "api-approved.kubernetes.io"
PROTECTED = ("k8s.io", "kubernetes.io")
_POLICY = "https://github.com/kubernetes/enhancements/pull/1111"
_COLUMNS = ("boolean", "date", "integer", "number", "string")


class DefinitionRules(Strategy[CustomResourceDefinition]):
    def prepare_create(self, new: Obj) -> None:
        versions = (new.get("spec") or {}).get("versions") or ()
        storage = [one.get("name", "") for one in versions if one.get("storage")]
        new["status"] = {
            "conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": storage,
        }  # fmt: skip

    def validate(self, new: CustomResourceDefinition, old: CustomResourceDefinition | None) -> Iterator[FieldError]:
        spec = new.spec
        expected = f"{spec.names.plural}.{spec.group}"
        if new.metadata.name != expected:
            yield invalid("metadata.name", new.metadata.name, 'must be spec.names.plural+"."+spec.group')
        yield from _group(spec.group)
        yield from _approval(new)
        if spec.scope not in ("Cluster", "Namespaced"):
            yield not_supported("spec.scope", spec.scope, ("Cluster", "Namespaced"))
        yield from _versions(new, _stored(old))
        yield from _names(spec.names, "spec.names")
        if spec.conversion is not None:
            yield from _conversion(spec.conversion, "spec.conversion")
        if spec.preserve_unknown_fields:
            why = "must be false"
            yield invalid("spec.preserveUnknownFields", spec.preserve_unknown_fields, why)
        if old is not None:
            yield from immutable("spec.group", spec.group, old.spec.group)
            yield from immutable("spec.names.plural", spec.names.plural, old.spec.names.plural)
            if any(one.type == "Established" and one.status == "True" for one in old.status.conditions):
                yield from immutable("spec.scope", spec.scope, old.spec.scope)
                yield from immutable("spec.names.kind", spec.names.kind, old.spec.names.kind)
        names = {one.name for one in spec.versions}
        for index, stored in enumerate(new.status.stored_versions):
            if stored not in names:
                yield invalid(at("status.storedVersions", index), stored, "must appear in spec.versions")

    def warnings(self, new: CustomResourceDefinition, old: CustomResourceDefinition | None) -> Iterator[str]:
        yield from definition_warnings(new, old)


def _conversion(conversion: CustomResourceConversion, path: str) -> Iterator[FieldError]:
    webhook = conversion.webhook
    if conversion.strategy not in ("None", "Webhook"):
        yield not_supported(f"{path}.strategy", conversion.strategy, ("None", "Webhook"))
    if conversion.strategy != "Webhook":
        if webhook is not None and webhook.client_config is not None:
            yield forbidden(f"{path}.webhookClientConfig", "should not be set when strategy is not set to Webhook")
        if webhook is not None and webhook.conversion_review_versions:
            why = "should not be set when strategy is not set to Webhook"
            yield forbidden(f"{path}.conversionReviewVersions", why)
        return
    target = webhook.client_config if webhook is not None else None
    if target is None:
        yield required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook")
    elif bool(target.url) == (target.service is not None):
        yield required(f"{path}.webhookClientConfig", "exactly one of url or service is required")
    versions = webhook.conversion_review_versions if webhook is not None else ()
    if not versions:
        yield required(f"{path}.conversionReviewVersions")
    elif not {"v1", "v1beta1"}.intersection(versions):
        why = "must include at least one of v1, v1beta1"
        yield invalid(f"{path}.conversionReviewVersions", list(versions), why)


def _group(group: str) -> Iterator[FieldError]:
    if not group:
        yield required("spec.group")
        return
    for why in subdomain_problems(group):
        yield invalid("spec.group", group, why)
    if "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")


def is_protected(group: str) -> bool:
    return any(group == domain or group.endswith("." + domain) for domain in PROTECTED)


def _approval(new: CustomResourceDefinition) -> Iterator[FieldError]:
    """Groups of the Kubernetes community name the review that approved them (KEP-1111)."""
    group, given = new.spec.group, new.metadata.annotations.get(APPROVAL, "")
    path = key("metadata.annotations", APPROVAL)
    if not is_protected(group):
        return
    if not given:
        yield required(path, f'protected groups must have approval annotation "{APPROVAL}", see {_POLICY}')
    elif not given.startswith(("http://", "https://", "unapproved")):
        need = f'protected groups must have approval annotation "{APPROVAL}"'
        yield invalid(
            path, given, f'{need} with either a URL or a reason starting with "unapproved", see {_POLICY}'
        )


def _stored(old: CustomResourceDefinition | None) -> Stored:
    schemas = [one.schema.open_apiv3_schema for one in old.spec.versions if one.schema] if old is not None else ()
    return frozenset(text for schema in schemas if schema is not None for text in stored_in(schema))


def _versions(new: CustomResourceDefinition, stored: Stored) -> Iterator[FieldError]:
    versions, path = new.spec.versions, "spec.versions"
    if not versions:
        yield required(path)
        return
    seen: set[str] = set()
    for index, one in enumerate(versions):
        where = at(path, index)
        if one.name in seen:
            yield invalid(path, [v.name for v in versions], "must contain unique version names")
        seen.add(one.name)
        for why in label_1035_problems(one.name):
            yield invalid(f"{where}.name", one.name, why)
        yield from _version(one, where, stored)
    if sum(one.storage for one in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield invalid(path, [one.name for one in versions], why)


def _version(one: CustomResourceDefinitionVersion, path: str, stored: Stored) -> Iterator[FieldError]:
    schema = one.schema.open_apiv3_schema if one.schema else None
    where = f"{path}.schema.openAPIV3Schema"
    if schema is None:
        yield required(where, "schemas are required")
    else:
        if schema.type != "object":
            yield (
                required(f"{where}.type", "must not be empty at the root")
                if not schema.type
                else invalid(f"{where}.type", schema.type, "must be object at the root")
            )
        wrong = list(_schema(schema, where, stored, root=True))
        yield from wrong or _defaults(to_dict(schema), where)
    for index, column in enumerate(one.additional_printer_columns):
        place = at(f"{path}.additionalPrinterColumns", index)
        if not column.name:
            yield required(f"{place}.name")
        if not column.type:
            yield required(f"{place}.type", f"must be one of {','.join(_COLUMNS)}")
        elif column.type not in _COLUMNS:
            yield invalid(f"{place}.type", column.type, f"must be one of {','.join(_COLUMNS)}")
        if not column.json_path:
            yield required(f"{place}.jsonPath")
        elif why := _path_problem(column.json_path):
            yield invalid(f"{place}.jsonPath", column.json_path, why)
    for index, field in enumerate(one.selectable_fields):
        place = f"{at(f'{path}.selectableFields', index)}.jsonPath"
        if not field.json_path:
            yield required(place)
        elif why := _path_problem(field.json_path):
            yield invalid(place, field.json_path, why)
    scale = one.subresources.scale if one.subresources else None
    if scale is not None:
        place = f"{path}.subresources.scale"
        for name, value, prefix in (
            ("specReplicasPath", scale.spec_replicas_path, ".spec."),
            ("statusReplicasPath", scale.status_replicas_path, ".status."),
        ):
            if not value:
                yield required(f"{place}.{name}")
            elif not value.startswith(prefix):
                yield invalid(f"{place}.{name}", value, f"should be a json path under {prefix[:-1]}")


def _path_problem(text: str) -> str:
    try:
        parse(text)
    except JsonPathError as error:
        return f"is not a valid JSON path: {error}"
    return ""


def _names(names: CustomResourceDefinitionNames, path: str) -> Iterator[FieldError]:
    for field, value in (
        ("plural", names.plural),
        ("singular", names.singular),
        ("kind", names.kind.lower()),
        ("listKind", names.list_kind.lower()),
    ):
        if not value:
            if field in ("plural", "kind"):
                yield required(f"{path}.{field}")
            continue
        for why in label_1035_problems(value):
            yield invalid(f"{path}.{field}", getattr(names, "list_kind" if field == "listKind" else field), why)
    for field, words in (("shortNames", names.short_names), ("categories", names.categories)):
        for index, word in enumerate(words):
            for why in label_1035_problems(word):
                yield invalid(at(f"{path}.{field}", index), word, why)
    if names.kind and names.kind == names.list_kind:
        yield invalid(f"{path}.listKind", names.list_kind, "kind and listKind may not be the same")


def _schema(schema: JSONSchemaProps, path: str, stored: Stored, *, root: bool = False) -> Iterator[FieldError]:
    """That a schema is structural: every value has a type, and nothing that pruning could not follow."""
    free = schema.x_kubernetes_int_or_string or schema.x_kubernetes_preserve_unknown_fields
    if not schema.type and not free and not root:
        yield required(f"{path}.type", "must not be empty for specified object fields")
    elif schema.type and schema.type not in _TYPES:
        yield not_supported(f"{path}.type", schema.type, _TYPES)
    for name, given in (
        ("$ref", schema.ref), ("definitions", schema.definitions), ("dependencies", schema.dependencies),
        ("patternProperties", schema.pattern_properties), ("additionalItems", schema.additional_items),
    ):  # fmt: skip
        if given:
            yield forbidden(
                f"{path}.{name}", f"{name} is not supported" if name != "$ref" else "$ref is not supported"
            )
    if schema.unique_items:
        yield forbidden(
            f"{path}.uniqueItems",
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        )
    if schema.type == "array":
        if schema.items is None:
            yield required(f"{path}.items", "must be specified")
        elif (items := part(schema.items)) is not None:
            yield from _schema(items, f"{path}.items", stored)
    yield from validation_rules(schema, path, stored)
    if schema.pattern and (why := regexp.problem(schema.pattern)):
        why = f"must be a valid regular expression, but isn't: {why}"
        yield invalid(f"{path}.pattern", schema.pattern, why)
    extra = part(schema.additional_properties)
    if extra is not None:
        if schema.properties:
            why = "additionalProperties and properties are mutual exclusive"
            yield forbidden(f"{path}.additionalProperties", why)
        yield from _schema(extra, f"{path}.additionalProperties", stored)
    elif schema.additional_properties is False:
        yield forbidden(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
    if schema.x_kubernetes_list_type == "map" and not schema.x_kubernetes_list_map_keys:
        why = "must not be empty if x-kubernetes-list-type is map"
        yield required(f"{path}.x-kubernetes-list-map-keys", why)
    for name, child in schema.properties.items():
        if root and name == "metadata":
            continue
        yield from _schema(child, key(f"{path}.properties", name), stored)


def _defaults(schema: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """Every default of a structural schema fits where it stands."""
    if schema.get("default") is not None:
        for error in validate(schema["default"], compile_value(schema)):
            inner = "" if error.path in ("", "<nil>") else f".{error.path}"
            yield FieldError(f"{path}.default{inner}", error.reason, error.detail)
    for name, child in (schema.get("properties") or {}).items():
        yield from _defaults(child, key(f"{path}.properties", name))
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), Mapping):
            yield from _defaults(schema[name], f"{path}.{name}")


class APIServiceRules(Strategy[APIService]):
    def name_problems(self, name: str) -> Iterator[str]:
        """The core group's has nothing behind the dot."""
        return path_segment_problems(name)

    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(self, new: APIService, old: APIService | None) -> Iterator[FieldError]:
        spec = new.spec
        expected = f"{spec.version}.{spec.group}"
        if new.metadata.name != expected:
            yield invalid(
                "metadata.name", new.metadata.name, f'must be `spec.version+"."+spec.group`: {quoted(expected)}'
            )
        for why in label_1035_problems(spec.version):
            yield invalid("spec.version", spec.version, why)
        if not 1 <= spec.group_priority_minimum <= 20000:
            why = "must be positive and less than 20000"
            yield invalid("spec.groupPriorityMinimum", spec.group_priority_minimum, why)
        if not 1 <= spec.version_priority <= 1000:
            yield invalid("spec.versionPriority", spec.version_priority, "must be positive and less than 1000")
        if spec.service is not None:
            if not spec.service.namespace:
                yield required("spec.service.namespace")
            if not spec.service.name:
                yield required("spec.service.name")
        if spec.insecure_skip_tls_verify and spec.ca_bundle:
            why = "may not be true if caBundle is present"
            yield invalid("spec.insecureSkipTLSVerify", spec.insecure_skip_tls_verify, why)
