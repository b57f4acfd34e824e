"""ConfigMaps, Secrets and ServiceAccounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from minikube.api.core_v1 import ConfigMap, Secret, ServiceAccount
from minikube.resources.base import Strategy
from minikube.resources.declare import columns, declare, since
from minikube.resources.rules.config import ConfigMapRules, SecretRules
from minikube.resources.warnings.kinds import service_account_warnings


class ServiceAccountRules(Strategy[ServiceAccount]):
    def warnings(self, new: ServiceAccount, old: ServiceAccount | None) -> Iterator[str]:
        yield from service_account_warnings(new, old)


def config_map_row(config: ConfigMap, now: datetime) -> Sequence[Any]:
    return config.metadata.name, len(config.data) + len(config.binary_data), since(config, now)


def secret_row(secret: Secret, now: datetime) -> Sequence[Any]:
    return secret.metadata.name, secret.type, len(secret.data), since(secret, now)


def service_account_row(account: ServiceAccount, now: datetime) -> Sequence[Any]:
    return account.metadata.name, len(account.secrets), since(account, now)


KINDS = (
    declare(
        ConfigMap,
        strategy=ConfigMapRules(),
        short_names=("cm",),
        columns=columns("Name", "Data", "Age"),
        row=config_map_row,
    ),
    declare(Secret, strategy=SecretRules(), columns=columns("Name", "Type", "Data", "Age"), row=secret_row),
    declare(
        ServiceAccount,
        strategy=ServiceAccountRules(),
        short_names=("sa",),
        subresources=("token",),
        columns=columns("Name", "Secrets", "Age"),
        row=service_account_row,
    ),
)
