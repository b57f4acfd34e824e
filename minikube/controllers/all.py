"""Every controller, in the order in which they start."""

from __future__ import annotations

from typing import Any

from minikube.controllers.api_services import APIServiceController
from minikube.controllers.authentication_info import AuthenticationInfoController
from minikube.controllers.claim_protection import ClaimProtectionController
from minikube.controllers.cluster_info import ClusterInfoController
from minikube.controllers.clusterrole_aggregation import ClusterRoleAggregationController
from minikube.controllers.control_plane import ControlPlaneController
from minikube.controllers.cronjob import CronJobController
from minikube.controllers.csr_approving import CsrApprovingController
from minikube.controllers.csr_cleaner import CsrCleanerController
from minikube.controllers.csr_signing import CsrSigningController
from minikube.controllers.daemonset import DaemonSetController
from minikube.controllers.deployment import DeploymentController
from minikube.controllers.disruption import DisruptionController, StaleDisruptionController
from minikube.controllers.endpointslice import EndpointSliceController
from minikube.controllers.endpointslicemirroring import EndpointSliceMirroringController
from minikube.controllers.ephemeral_volumes import EphemeralVolumeController
from minikube.controllers.flow_control import FlowControlController
from minikube.controllers.hpa import HorizontalController
from minikube.controllers.job import JobController, JobOrphanController
from minikube.controllers.local_path import LocalPathProvisioner
from minikube.controllers.namespace import NamespaceController
from minikube.controllers.nodes import NodeController
from minikube.controllers.persistent_volumes import PersistentVolumeBinder
from minikube.controllers.podgc import PodGarbageController
from minikube.controllers.policy_status import PolicyStatusController
from minikube.controllers.replicaset import ReplicaSetController
from minikube.controllers.replicationcontroller import ReplicationControllerController
from minikube.controllers.resourcequota import ResourceQuotaController
from minikube.controllers.revoked_nodes import RevokedNodesController
from minikube.controllers.service_addresses import ServiceAddressController
from minikube.controllers.serviceaccount import ServiceAccountController
from minikube.controllers.statefulset import StatefulSetController
from minikube.controllers.taint_eviction import TaintEvictionController
from minikube.controllers.token_cleaner import TokenCleanerController
from minikube.controllers.token_secrets import TokenSecretController
from minikube.controllers.ttl import TtlController
from minikube.controllers.volume_protection import VolumeProtectionController

CONTROLLERS: tuple[type[Any], ...] = (
    NamespaceController,
    ServiceAccountController,
    ClusterRoleAggregationController,
    TokenSecretController,
    AuthenticationInfoController,
    ReplicaSetController,
    ReplicationControllerController,
    ResourceQuotaController,
    DeploymentController,
    DaemonSetController,
    StatefulSetController,
    JobController,
    JobOrphanController,
    CronJobController,
    HorizontalController,
    DisruptionController,
    StaleDisruptionController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    ServiceAddressController,
    NodeController,
    TaintEvictionController,
    PodGarbageController,
    TtlController,
    PersistentVolumeBinder,
    LocalPathProvisioner,
    ClaimProtectionController,
    VolumeProtectionController,
    EphemeralVolumeController,
    CsrApprovingController,
    CsrSigningController,
    CsrCleanerController,
    ClusterInfoController,
    ControlPlaneController,
    TokenCleanerController,
    RevokedNodesController,
    FlowControlController,
    APIServiceController,
    PolicyStatusController,
)
