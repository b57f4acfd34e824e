"""storagemigration.k8s.io."""

from __future__ import annotations

from minikube.api.storagemigration_v1 import StorageVersionMigration
from minikube.resources.declare import declare
from minikube.resources.rules.migration import StorageVersionMigrationRules

KINDS = (declare(StorageVersionMigration, strategy=StorageVersionMigrationRules(), status=True),)
