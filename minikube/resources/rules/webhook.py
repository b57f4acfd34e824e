"""What webhook configurations may say (pkg/apis/admissionregistration/validation)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from minikube.api.admissionregistration_v1 import (
    MutatingWebhook,
    MutatingWebhookConfiguration,
    NamedRuleWithOperations,
    RuleWithOperations,
    ValidatingWebhook,
    ValidatingWebhookConfiguration,
    WebhookClientConfig,
)
from minikube.api.names import subdomain_problems
from minikube.errors import FieldError
from minikube.resources.base import Strategy
from minikube.resources.rules.expressions import match_conditions
from minikube.resources.rules.invalid import at, duplicate, invalid, not_supported, required
from minikube.resources.rules.labelling import label_selector

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
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
    for why in subdomain_problems(hook.name):
        yield invalid(f"{path}.name", hook.name, why)
    if hook.name.count(".") < 2:
        yield invalid(
            f"{path}.name", hook.name, "should be a domain with at least three segments separated by dots"
        )
    if not hook.admission_review_versions:
        yield required(f"{path}.admissionReviewVersions", "must specify one of v1, v1beta1")
    elif not {"v1", "v1beta1"} & set(hook.admission_review_versions):
        why = "must include at least one of v1, v1beta1"
        yield invalid(f"{path}.admissionReviewVersions", hook.admission_review_versions, why)
    for index, rule in enumerate(hook.rules):
        yield from rules_of(rule, at(f"{path}.rules", index))
    for name, value, allowed in (
        ("failurePolicy", hook.failure_policy, ("Fail", "Ignore")),
        ("matchPolicy", hook.match_policy, ("Equivalent", "Exact")),
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
    if not rule.resources:
        yield required(f"{path}.resources")
    if rule.scope and rule.scope not in _SCOPES:
        yield not_supported(f"{path}.scope", rule.scope, _SCOPES)


def _client(config: WebhookClientConfig, path: str) -> Iterator[FieldError]:
    if bool(config.url) == (config.service is not None):
        yield required(path, "exactly one of url or service is required")
    if config.url:
        url = urlsplit(config.url)
        if url.scheme != "https":
            why = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
            yield invalid(f"{path}.url", config.url, why)
        if not url.hostname:
            yield invalid(f"{path}.url", config.url, "host must be specified; desired format: https://host[/path]")
        if url.username or url.password:
            yield invalid(f"{path}.url", config.url, "user information is not permitted in the URL")
        if url.query:
            yield invalid(f"{path}.url", config.url, "query parameters are not permitted in the URL")
    if config.service is not None:
        where = f"{path}.service"
        if not config.service.name:
            yield required(f"{where}.name", "service name is required")
        if not config.service.namespace:
            yield required(f"{where}.namespace", "service namespace is required")
        if config.service.path and not config.service.path.startswith("/"):
            yield invalid(f"{where}.path", config.service.path, "must start with a '/'")
        port = config.service.port
        if port is not None and not 1 <= port <= 65535:
            yield invalid(f"{where}.port", port, "port is not valid: must be between 1 and 65535, inclusive")


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
