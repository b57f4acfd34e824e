"""The admission plugins, in the order they run."""

from __future__ import annotations

from collections.abc import Sequence

from minikube.admission.base import Mutator, Validator
from minikube.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from minikube.admission.default_ingress_class import DefaultIngressClass
from minikube.admission.default_storage_class import DefaultStorageClass
from minikube.admission.default_toleration_seconds import DefaultTolerationSeconds
from minikube.admission.deny_service_external_ips import DenyServiceExternalIPs
from minikube.admission.escalation import Escalation
from minikube.admission.extended_resource_toleration import ExtendedResourceToleration
from minikube.admission.limit_ranger import LimitRanger
from minikube.admission.namespace_lifecycle import NamespaceLifecycle
from minikube.admission.node_restriction import NodeRestriction
from minikube.admission.persistent_volume_claim_resize import PersistentVolumeClaimResize
from minikube.admission.pod_security.admission import PodSecurity
from minikube.admission.pod_topology_labels import PodTopologyLabels
from minikube.admission.priority import Priority
from minikube.admission.quota.admission import ResourceQuotaAdmission
from minikube.admission.quota.reservations import Reservations
from minikube.admission.runtime_class import RuntimeClassAdmission
from minikube.admission.service_account import ServiceAccountAdmission
from minikube.admission.storage_object_in_use_protection import StorageObjectInUseProtection
from minikube.admission.taint_nodes_by_condition import TaintNodesByCondition
from minikube.admission.token_audiences import TokenAudiences
from minikube.api.core_v1 import LimitRange, Namespace, Node, Pod, ResourceQuota, ServiceAccount
from minikube.api.networking_v1 import IngressClass
from minikube.api.node_v1 import RuntimeClass
from minikube.api.scheduling_v1 import PriorityClass
from minikube.api.storage_v1 import StorageClass
from minikube.auth.escalation import EscalationCheck
from minikube.auth.rbac import RbacAuthorizer
from minikube.client.base import Client, Informers
from minikube.kit.clock import Clock
from minikube.settings import Settings, SettingsError

Plugin = Mutator | Validator


OFF = frozenset({"DenyServiceExternalIPs", "ExtendedResourceToleration"})
"""What runs only when the settings ask for it."""


def plugins(
    informers: Informers,
    rbac: RbacAuthorizer,
    client: Client,
    clock: Clock,
    settings: Settings,
    webhooks: Sequence[Plugin] = (),
    reservations: Reservations | None = None,
) -> tuple[Plugin, ...]:
    """Those that are on. `client` writes what plugins keep; `webhooks` come after all of ours but the quota, which
    counts what is left in the end and keeps `reservations`. Raises SettingsError for names that are no plugin's."""
    *ours, quota = known(informers, rbac, client, clock, reservations or Reservations())
    every = (*ours, *webhooks, quota)
    names = {plugin.name for plugin in every}
    asked = {*settings.enable_admission_plugins, *settings.disable_admission_plugins}
    if asked - names:
        raise SettingsError(
            f"no admission plugin is named {', '.join(sorted(asked - names))}; there are {', '.join(sorted(names))}"
        )
    off = (OFF - set(settings.enable_admission_plugins)) | set(settings.disable_admission_plugins)
    return tuple(plugin for plugin in every if plugin.name not in off)


def known(
    informers: Informers, rbac: RbacAuthorizer, client: Client, clock: Clock, reservations: Reservations
) -> tuple[Plugin, ...]:
    """In the order of kubernetes pkg/kubeapiserver/options/plugins.go."""
    namespaces, pods = informers.of(Namespace).lister, informers.of(Pod).lister
    classes = informers.of(StorageClass).lister
    return (
        Escalation(EscalationCheck(rbac, rbac)),
        NamespaceLifecycle(namespaces),
        LimitRanger(informers.of(LimitRange).lister),
        ServiceAccountAdmission(informers.of(ServiceAccount).lister),
        NodeRestriction(pods, informers.of(Node).lister, TokenAudiences(informers, rbac)),
        TaintNodesByCondition(),
        PodSecurity(namespaces, pods),
        Priority(informers.of(PriorityClass).lister),
        DefaultTolerationSeconds(),
        ExtendedResourceToleration(),
        DefaultStorageClass(classes),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(classes),
        RuntimeClassAdmission(informers.of(RuntimeClass).lister),
        CertificateApproval(rbac),
        CertificateSigning(rbac),
        CertificateSubjectRestriction(),
        DefaultIngressClass(informers.of(IngressClass).lister),
        PodTopologyLabels(informers.of(Node).lister),
        DenyServiceExternalIPs(),
        ResourceQuotaAdmission(informers.of(ResourceQuota).lister, client, clock, reservations),
    )
