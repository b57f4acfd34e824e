"""What webhook configurations may say (pkg/apis/admissionregistration/validation)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from minikube.api.admissionregistration_v1 import (
    MutatingWebhook,
    MutatingWebhookConfiguration,
    NamedRuleWithOperations,
    RuleWithOperations,
    ServiceReference,
    ValidatingWebhook,
    ValidatingWebhookConfiguration,
    WebhookClientConfig,
)
from minikube.api.names import (
    label_1035_problems,
    port_number_problems,
    subdomain_problems,
)
from minikube.errors import FieldError
from minikube.resources.base import Strategy
from minikube.resources.rules.expressions import match_conditions
from minikube.resources.rules.invalid import at, duplicate, invalid, not_supported, required
from minikube.resources.rules.labelling import label_selector

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
MATCH_POLICIES = ("Equivalent", "Exact")
_SCOPES = ("*", "Cluster", "Namespaced")


Webhook = MutatingWebhook | ValidatingWebhook


def _webhooks(webhooks: Sequence[Webhook], before: Sequence[Webhook]) -> Iterator[FieldError]:
    stored = frozenset(one.expression for hook in before for one in hook.match_conditions)
    names: set[str] = set()
    for index, hook in enumerate(webhooks):
        where = at("webhooks", index)
        yield from _webhook(hook, where)
        yield from match_conditions(hook.match_conditions, f"{where}.matchConditions", stored=stored)
        if hook.name in names:
            yield duplicate(f"{where}.name", hook.name)
        names.add(hook.name)


def _webhook(hook: Webhook, path: str) -> Iterator[FieldError]:
    yield from _qualified(hook.name, f"{path}.name")
    yield from _review_versions(hook.admission_review_versions, f"{path}.admissionReviewVersions")
    for index, rule in enumerate(hook.rules):
        yield from rules_of(rule, at(f"{path}.rules", index))
    for name, value, allowed in (
        ("failurePolicy", hook.failure_policy, ("Fail", "Ignore")),
        ("matchPolicy", hook.match_policy, MATCH_POLICIES),
    ):
        if value and value not in allowed:
            yield not_supported(f"{path}.{name}", value, allowed)
    if not hook.side_effects:
        yield required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    elif hook.side_effects not in ("None", "NoneOnDryRun"):
        yield not_supported(f"{path}.sideEffects", hook.side_effects, ("None", "NoneOnDryRun"))
    if hook.timeout_seconds is not None and not 1 <= hook.timeout_seconds <= 30:
        why = "the timeout value must be between 1 and 30 seconds"
        yield invalid(f"{path}.timeoutSeconds", hook.timeout_seconds, why)
    yield from label_selector(hook.namespace_selector, f"{path}.namespaceSelector")
    yield from label_selector(hook.object_selector, f"{path}.objectSelector")
    yield from _client(hook.client_config, f"{path}.clientConfig")


def _qualified(name: str, path: str) -> Iterator[FieldError]:
    """A domain name of three parts or more (IsFullyQualifiedName)."""
    if not name:
        yield required(path)
    elif wrong := ",".join(subdomain_problems(name)):
        yield invalid(path, name, wrong)
    elif name.count(".") < 2:
        yield invalid(path, name, "should be a domain with at least three segments separated by dots")


def _review_versions(versions: Sequence[str], path: str) -> Iterator[FieldError]:
    if not versions:
        yield required(path, "must specify one of v1, v1beta1")
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            yield invalid(at(path, index), version, "duplicate version")
            continue
        for why in label_1035_problems(version):
            yield invalid(at(path, index), version, why)
    if not {"v1", "v1beta1"} & set(versions):
        yield invalid(path, versions, "must include at least one of v1, v1beta1")


def rules_of(rule: RuleWithOperations | NamedRuleWithOperations, path: str) -> Iterator[FieldError]:
    """Which requests are meant; a star stands alone."""
    if not rule.operations:
        yield required(f"{path}.operations")
    for index, operation in enumerate(rule.operations):
        if operation not in _OPERATIONS:
            yield not_supported(at(f"{path}.operations", index), operation, _OPERATIONS)
    for name, values in (
        ("operations", rule.operations),
        ("apiGroups", rule.api_groups),
        ("apiVersions", rule.api_versions),
    ):
        if not values and name != "operations":
            yield required(f"{path}.{name}")
        if len(values) > 1 and "*" in values:
            what = "if '*' is present, must not specify other " + {
                "operations": "operations", "apiGroups": "API groups", "apiVersions": "API versions",
            }[name]  # fmt: skip
            yield invalid(f"{path}.{name}", values, what)
    for index, version in enumerate(rule.api_versions):
        if not version:
            yield required(at(f"{path}.apiVersions", index))
    yield from _resources(rule.resources, f"{path}.resources")
    if rule.scope and rule.scope not in _SCOPES:
        yield not_supported(f"{path}.scope", rule.scope, _SCOPES)


def _resources(resources: Sequence[str], path: str) -> Iterator[FieldError]:
    """pods, pods/log, pods/*, */scale, */* and *: none that another one before it includes."""
    if not resources:
        yield required(path)
    all_below: set[str] = set()
    of_all: set[str] = set()
    for index, each in enumerate(resources):
        resource, slash, subresource = each.partition("/")
        if not each:
            yield required(at(path, index))
        if not slash:
            continue
        if resource in all_below:
            yield invalid(at(path, index), each, f"if '{resource}/*' is present, must not specify {each}")
        if subresource in of_all:
            yield invalid(at(path, index), each, f"if '*/{subresource}' is present, must not specify {each}")
        if subresource == "*":
            all_below.add(resource)
        if resource == "*":
            of_all.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(path, resources, "if '*/*' is present, must not specify other resources")
    if "*" in resources and any(each and each != "*" and "/" not in each for each in resources):
        why = "if '*' is present, must not specify other resources without subresources"
        yield invalid(path, resources, why)


def _client(config: WebhookClientConfig, path: str) -> Iterator[FieldError]:
    if bool(config.url) == (config.service is not None):
        yield required(path, "exactly one of url or service is required")
    if config.url:
        url = urlsplit(config.url)
        user = url.netloc.rpartition("@")[0]
        if url.scheme != "https":
            why = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
            yield invalid(f"{path}.url", url.scheme, why)
        if not url.netloc:
            yield invalid(f"{path}.url", "", "host must be specified; desired format: https://host[/path]")
        if user:
            yield invalid(f"{path}.url", user, "user information is not permitted in the URL")
        if url.fragment:
            yield invalid(f"{path}.url", url.fragment, "fragments are not permitted in the URL")
        if url.query:
            yield invalid(f"{path}.url", url.query, "query parameters are not permitted in the URL")
    if config.service is not None:
        yield from hook_service(config.service, f"{path}.service")


def hook_service(service: ServiceReference, path: str) -> Iterator[FieldError]:
    """The service behind a webhook (ValidateWebhookService)."""
    if not service.name:
        yield required(f"{path}.name")
    if not service.namespace:
        yield required(f"{path}.namespace")
    if service.port is not None and (why := ", ".join(port_number_problems(service.port))):
        yield invalid(f"{path}.port", service.port, f"port is not valid: {why}")
    given = service.path
    if given in ("", "/"):
        return
    if not given.startswith("/"):
        yield invalid(f"{path}.path", given, "must start with a '/'")
    for index, step in enumerate(given[1:].removesuffix("/").split("/")):
        if not step:
            yield invalid(f"{path}.path", given, f"segment[{index}] may not be empty")
            continue
        for why in subdomain_problems(step):
            yield invalid(f"{path}.path", given, f"segment[{index}]: {why}")


class MutatingWebhookRules(Strategy[MutatingWebhookConfiguration]):
    def validate(
        self, new: MutatingWebhookConfiguration, old: MutatingWebhookConfiguration | None
    ) -> Iterator[FieldError]:
        yield from _webhooks(new.webhooks, old.webhooks if old is not None else ())
        for index, hook in enumerate(new.webhooks):
            if hook.reinvocation_policy not in ("", "IfNeeded", "Never"):
                where = f"{at('webhooks', index)}.reinvocationPolicy"
                yield not_supported(where, hook.reinvocation_policy, ("IfNeeded", "Never"))


class ValidatingWebhookRules(Strategy[ValidatingWebhookConfiguration]):
    def validate(
        self, new: ValidatingWebhookConfiguration, old: ValidatingWebhookConfiguration | None
    ) -> Iterator[FieldError]:
        yield from _webhooks(new.webhooks, old.webhooks if old is not None else ())
