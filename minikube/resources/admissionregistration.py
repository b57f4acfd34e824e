"""admissionregistration.k8s.io: webhooks and admission policies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.admissionregistration_v1 import (
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    MutatingWebhookConfiguration,
    ParamKind,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
)
from minikube.resources.declare import UNSET, columns, declare, since
from minikube.resources.rules.admission_policy import (
    MutatingBindingRules,
    MutatingPolicyRules,
    ValidatingBindingRules,
    ValidatingPolicyRules,
)
from minikube.resources.rules.webhook import MutatingWebhookRules, ValidatingWebhookRules


def webhooks_row(
    config: MutatingWebhookConfiguration | ValidatingWebhookConfiguration, now: datetime
) -> Sequence[Any]:
    return config.metadata.name, len(config.webhooks), since(config, now)


def _kind(of: ParamKind | None) -> str:
    return f"{of.api_version}/{of.kind}" if of else UNSET


def validating_row(policy: ValidatingAdmissionPolicy, now: datetime) -> Sequence[Any]:
    return policy.metadata.name, len(policy.spec.validations), _kind(policy.spec.param_kind), since(policy, now)


def mutating_row(policy: MutatingAdmissionPolicy, now: datetime) -> Sequence[Any]:
    return policy.metadata.name, len(policy.spec.mutations), _kind(policy.spec.param_kind), since(policy, now)


def binding_row(
    binding: ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding, now: datetime
) -> Sequence[Any]:
    ref, shown = binding.spec.param_ref, UNSET
    if ref:
        shown = f"{ref.namespace or '*'}/{ref.name or '*'}"
    return binding.metadata.name, binding.spec.policy_name, shown, since(binding, now)


_WEBHOOKS = columns("Name", "Webhooks:integer", "Age")
_BINDING = columns("Name", "PolicyName", "ParamRef", "Age")

KINDS = (
    declare(
        MutatingAdmissionPolicy,
        counted=True,
        strategy=MutatingPolicyRules(),
        columns=columns("Name", "Mutations:integer", "ParamKind", "Age"),
        row=mutating_row,
    ),
    declare(
        MutatingAdmissionPolicyBinding,
        counted=True,
        strategy=MutatingBindingRules(),
        columns=_BINDING,
        row=binding_row,
    ),
    declare(
        MutatingWebhookConfiguration,
        counted=True,
        strategy=MutatingWebhookRules(),
        categories=("api-extensions",),
        columns=_WEBHOOKS,
        row=webhooks_row,
    ),
    declare(
        ValidatingAdmissionPolicy,
        counted=True,
        strategy=ValidatingPolicyRules(),
        categories=("api-extensions",),
        status=True,
        status_metadata=(),
        columns=columns("Name", "Validations:integer", "ParamKind", "Age"),
        row=validating_row,
    ),
    declare(
        ValidatingAdmissionPolicyBinding,
        counted=True,
        strategy=ValidatingBindingRules(),
        categories=("api-extensions",),
        columns=_BINDING,
        row=binding_row,
    ),
    declare(
        ValidatingWebhookConfiguration,
        counted=True,
        strategy=ValidatingWebhookRules(),
        categories=("api-extensions",),
        columns=_WEBHOOKS,
        row=webhooks_row,
    ),
)
