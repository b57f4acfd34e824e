"""The plugins that are always on, in the order they run."""

from __future__ import annotations

from minikube.admission.base import Mutator, Validator
from minikube.admission.default_storage_class import DefaultStorageClass
from minikube.admission.default_toleration_seconds import DefaultTolerationSeconds
from minikube.admission.escalation import Escalation
from minikube.admission.limit_ranger import LimitRanger
from minikube.admission.namespace_lifecycle import NamespaceLifecycle
from minikube.admission.persistent_volume_claim_resize import PersistentVolumeClaimResize
from minikube.admission.pod_security.admission import PodSecurity
from minikube.admission.priority import Priority
from minikube.admission.quota.admission import ResourceQuotaAdmission
from minikube.admission.service_account import ServiceAccountAdmission
from minikube.admission.storage_object_in_use_protection import StorageObjectInUseProtection
from minikube.api.core_v1 import LimitRange, Namespace, Pod, ResourceQuota, ServiceAccount
from minikube.api.scheduling_v1 import PriorityClass
from minikube.api.storage_v1 import StorageClass
from minikube.auth.escalation import EscalationCheck
from minikube.auth.rbac import RbacAuthorizer
from minikube.client.base import Client, Informers
from minikube.kit.clock import Clock

Plugin = Mutator | Validator


def plugins(informers: Informers, rbac: RbacAuthorizer, client: Client, clock: Clock) -> tuple[Plugin, ...]:
    """In the order of kubernetes pkg/kubeapiserver/options/plugins.go. `client` writes what plugins keep."""
    return (
        Escalation(EscalationCheck(rbac, rbac)),
        NamespaceLifecycle(informers.of(Namespace).lister),
        LimitRanger(informers.of(LimitRange).lister),
        ServiceAccountAdmission(informers.of(ServiceAccount).lister),
        PodSecurity(informers.of(Namespace).lister, informers.of(Pod).lister),
        Priority(informers.of(PriorityClass).lister),
        DefaultTolerationSeconds(),
        DefaultStorageClass(informers.of(StorageClass).lister),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(informers.of(StorageClass).lister),
        ResourceQuotaAdmission(informers.of(ResourceQuota).lister, client, clock),
    )
