"""The defaults of built-in kinds: a table of fixed ones, and rules for those that other fields decide.

Taken from what SetDefaults_* and SetObjectDefaults_* of Kubernetes 1.37 document (pkg/apis/<group>/<version>).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minikube.schema.resource_lists import lists_of_resources, node_status, round_up

Obj = dict[str, Any]

CORE = "io.k8s.api.core.v1."
APPS = "io.k8s.api.apps.v1."
BATCH = "io.k8s.api.batch.v1."
HPA = "io.k8s.api.autoscaling.v2."
NET = "io.k8s.api.networking.v1."
RBAC = "io.k8s.api.rbac.v1."
HOOKS = "io.k8s.api.admissionregistration.v1."
STORAGE = "io.k8s.api.storage.v1."
CRD = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
FLOW = "io.k8s.api.flowcontrol.v1."
RESOURCE = "io.k8s.api.resource.v1."
DISCOVERY = "io.k8s.api.discovery.v1."

_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_POLICY = {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
_RBAC_GROUP = "rbac.authorization.k8s.io"
MODE = 0o644

FIXED: dict[str, dict[str, Any]] = {
    CORE + "PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    },
    CORE + "Container": {**_CONTAINER, "resources": {}},
    CORE + "EphemeralContainer": {**_CONTAINER, "resources": {}},
    CORE + "ContainerPort": {"protocol": "TCP"},
    CORE + "Probe": {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1},
    CORE + "HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    CORE + "GRPCAction": {"service": ""},
    CORE + "ObjectFieldSelector": {"apiVersion": "v1"},
    CORE + "ConfigMapVolumeSource": {"defaultMode": MODE},
    CORE + "SecretVolumeSource": {"defaultMode": MODE},
    CORE + "DownwardAPIVolumeSource": {"defaultMode": MODE},
    CORE + "ProjectedVolumeSource": {"defaultMode": MODE},
    CORE + "ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    CORE + "HostPathVolumeSource": {"type": ""},
    CORE + "ISCSIVolumeSource": {"iscsiInterface": "default"},
    CORE + "ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    CORE + "RBDVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    CORE + "RBDPersistentVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    CORE + "AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    CORE + "ScaleIOVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    CORE + "ScaleIOPersistentVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    CORE + "ServiceSpec": {"internalTrafficPolicy": "Cluster", "sessionAffinity": "None", "type": "ClusterIP"},
    CORE + "ServicePort": {"protocol": "TCP"},
    CORE + "EndpointPort": {"protocol": "TCP"},
    CORE + "Secret": {"type": "Opaque"},
    CORE + "PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    CORE + "PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    CORE + "PersistentVolume": {"status": {"phase": "Pending"}},
    CORE + "PersistentVolumeClaim": {"status": {"phase": "Pending"}},
    CORE + "PersistentVolumeStatus": {"phase": "Pending"},
    CORE + "PersistentVolumeClaimStatus": {"phase": "Pending"},
    CORE + "Namespace": {"spec": {}, "status": {"phase": "Active"}},
    CORE + "NamespaceStatus": {"phase": "Active"},
    CORE + "ReplicationControllerSpec": {"replicas": 1},
    APPS + "DeploymentSpec": {
        "progressDeadlineSeconds": 600,
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "strategy": {"type": "RollingUpdate"},
    },
    APPS + "DeploymentStrategy": {"type": "RollingUpdate"},
    APPS + "RollingUpdateDeployment": {"maxSurge": "25%", "maxUnavailable": "25%"},
    APPS + "ReplicaSetSpec": {"replicas": 1},
    APPS + "DaemonSetSpec": {"revisionHistoryLimit": 10, "updateStrategy": {"type": "RollingUpdate"}},
    APPS + "DaemonSetUpdateStrategy": {"type": "RollingUpdate"},
    APPS + "RollingUpdateDaemonSet": {"maxSurge": 0, "maxUnavailable": 1},
    APPS + "StatefulSetSpec": {
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "podManagementPolicy": "OrderedReady",
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "updateStrategy": {},
    },
    APPS + "StatefulSetPersistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    APPS + "RollingUpdateStatefulSetStrategy": {"partition": 0},
    BATCH + "JobSpec": {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        "suspend": False,
    },
    BATCH + "PodFailurePolicyOnPodConditionsPattern": {"status": "True"},
    BATCH + "CronJobSpec": {
        "concurrencyPolicy": "Allow",
        "failedJobsHistoryLimit": 1,
        "successfulJobsHistoryLimit": 3,
        "suspend": False,
    },
    HPA + "HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    "io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    NET + "NetworkPolicyPort": {"protocol": "TCP"},
    NET + "NetworkPolicySpec": {"podSelector": {}},
    NET + "IngressClassParametersReference": {"scope": "Cluster"},
    RBAC + "RoleRef": {"apiGroup": _RBAC_GROUP},
    HOOKS + "ValidatingWebhook": {**_POLICY, "timeoutSeconds": 10},
    HOOKS + "MutatingWebhook": {**_POLICY, "reinvocationPolicy": "Never", "timeoutSeconds": 10},
    HOOKS + "RuleWithOperations": {"scope": "*"},
    HOOKS + "NamedRuleWithOperations": {"scope": "*"},
    HOOKS + "ServiceReference": {"port": 443},
    HOOKS + "ValidatingAdmissionPolicySpec": {"failurePolicy": "Fail"},
    HOOKS + "MutatingAdmissionPolicySpec": {"failurePolicy": "Fail"},
    HOOKS + "MatchResources": {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}},
    STORAGE + "StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    STORAGE + "CSIDriverSpec": {
        "attachRequired": True,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "podInfoOnMount": False,
        "requiresRepublish": False,
        "seLinuxMount": False,
        "storageCapacity": False,
        "volumeLifecycleModes": ["Persistent"],
    },
    CRD + "CustomResourceDefinitionSpec": {"conversion": {"strategy": "None"}},
    CRD + "ServiceReference": {"port": 443},
    "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.ServiceReference": {"port": 443},
    "io.k8s.api.certificates.v1.PodCertificateRequestSpec": {"maxExpirationSeconds": 86400},
    DISCOVERY + "EndpointPort": {"name": "", "protocol": "TCP"},
    FLOW + "LimitedPriorityLevelConfiguration": {"lendablePercent": 0, "nominalConcurrencyShares": 30},
    FLOW + "ExemptPriorityLevelConfiguration": {"lendablePercent": 0, "nominalConcurrencyShares": 0},
    FLOW + "QueuingConfiguration": {"handSize": 8, "queueLengthLimit": 50, "queues": 64},
    FLOW + "FlowSchemaSpec": {"matchingPrecedence": 1000},
    RESOURCE + "ExactDeviceRequest": {"allocationMode": "ExactCount"},
    RESOURCE + "DeviceSubRequest": {"allocationMode": "ExactCount"},
    RESOURCE + "DeviceToleration": {"operator": "Equal"},
    "io.k8s.api.scheduling.v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
}

# Fields that Go keeps as plain numbers: a 0 is as good as unset.
ZERO_IS_UNSET = {
    (CORE + "Probe", "failureThreshold"),
    (CORE + "Probe", "periodSeconds"),
    (CORE + "Probe", "successThreshold"),
    (CORE + "Probe", "timeoutSeconds"),
    (FLOW + "QueuingConfiguration", "handSize"),
    (FLOW + "QueuingConfiguration", "queueLengthLimit"),
    (FLOW + "QueuingConfiguration", "queues"),
    (FLOW + "FlowSchemaSpec", "matchingPrecedence"),
}


def defaults_of(definition: str) -> tuple[tuple[str, Any, bool], ...]:
    """(field, value, whether a zero value counts as unset too) of this definition."""
    return tuple(
        (name, value, (isinstance(value, str) and value != "") or (definition, name) in ZERO_IS_UNSET)
        for name, value in FIXED.get(definition, {}).items()
    )


def image_pull_policy(container: Obj) -> None:
    """Always for the tag latest or none, IfNotPresent for any other tag or a digest (SetDefaults_Container)."""
    if container.get("imagePullPolicy"):
        return
    container["imagePullPolicy"] = _policy_of(container.get("image") or "")


def _policy_of(image: str) -> str:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    latest = tag == "latest" or (name and not tag and not digest)
    return "Always" if latest else "IfNotPresent"


def host_ports(spec: Obj) -> None:
    """On the host's network a container port is a host port (SetDefaults_Pod): templates leave it to their pods."""
    if spec.get("hostNetwork"):
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            for port in container.get("ports") or ():
                if not port.get("hostPort") and port.get("containerPort"):
                    port["hostPort"] = port["containerPort"]


def pod_spec(spec: Obj) -> None:
    round_up(spec.get("overhead"))
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]


SOURCES = {
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "configMap", "csi", "downwardAPI",
    "emptyDir", "ephemeral", "fc", "flexVolume", "flocker", "gcePersistentDisk", "gitRepo", "glusterfs",
    "hostPath", "image", "iscsi", "nfs", "persistentVolumeClaim", "photonPersistentDisk", "portworxVolume",
    "projected", "quobyte", "rbd", "scaleIO", "secret", "storageos", "vsphereVolume",
}  # fmt: skip


def volume(one: Obj) -> None:
    if SOURCES.isdisjoint(one):
        one["emptyDir"] = {}
    image = one.get("image")
    if isinstance(image, dict) and not image.get("pullPolicy"):
        image["pullPolicy"] = _policy_of(image.get("reference") or "")


def requests_from_limits(resources: Obj) -> None:
    for name, amount in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, amount)


def pod(one: Obj) -> None:
    """Requests default to limits, in pods only, not in templates; service links are on (SetDefaults_Pod)."""
    spec = one.get("spec")
    if not isinstance(spec, dict):
        return
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if container.get("resources"):
            requests_from_limits(container["resources"])
    spec.setdefault("enableServiceLinks", True)
    host_ports(spec)


def service_spec(spec: Obj) -> None:
    for port in spec.get("ports") or ():
        if port.get("targetPort") in (None, "", 0):
            port["targetPort"] = port.get("port", 0)
    outside = spec.get("type") in ("NodePort", "LoadBalancer")
    exposed = outside or ((spec.get("type") or "ClusterIP") == "ClusterIP" and spec.get("externalIPs"))
    if exposed and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec.get("type") == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec.get("type") == "ExternalName":
        spec.pop("internalTrafficPolicy", None)
    if spec.get("sessionAffinity") == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", 10800)
    elif spec.get("sessionAffinity") == "None":
        spec.pop("sessionAffinityConfig", None)


def service(one: Obj) -> None:
    """Addresses of a balancer are its own unless it says that it is a proxy."""
    if (one.get("spec") or {}).get("type") == "LoadBalancer":
        for ingress in ((one.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


def endpoint_slice(one: Obj) -> None:
    """Both lists are always said (upstream's types do not omit them), also when they are empty."""
    one.setdefault("endpoints", [])
    one.setdefault("ports", [])


def rolling(**fields: Any) -> Callable[[Obj], None]:
    """rollingUpdate with these fields, when the strategy is RollingUpdate."""

    def rule(strategy: Obj) -> None:
        if strategy.get("type") == "RollingUpdate":
            parameters = strategy.setdefault("rollingUpdate", {})
            for name, value in fields.items():
                parameters.setdefault(name, value)

    return rule


def stateful_set_strategy(strategy: Obj) -> None:
    """Who does not say how pods are updated gets a partition, too; who says RollingUpdate alone gets none."""
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {"partition": 0})


def labelled_from_template(one: Obj) -> None:
    """A workload without labels of its own has its template's (Job, ReplicationController)."""
    labels = ((one.get("spec") or {}).get("template") or {}).get("metadata", {}).get("labels")
    if labels and not one.get("metadata", {}).get("labels"):
        one.setdefault("metadata", {})["labels"] = dict(labels)


def replication_controller(one: Obj) -> None:
    labelled_from_template(one)
    spec = one.get("spec") or {}
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels")
    if labels and not spec.get("selector"):
        spec["selector"] = dict(labels)


def job_spec(spec: Obj) -> None:
    """One pod unless completions or parallelism say more; a per-index limit lifts the common one."""
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    if "backoffLimitPerIndex" in spec and spec.get("backoffLimit") == 6:
        spec["backoffLimit"] = 2**31 - 1
    if "podFailurePolicy" in spec and spec.get("podReplacementPolicy") == "TerminatingOrFailed":
        spec["podReplacementPolicy"] = "Failed"


def rbac_subject(subject: Obj) -> None:
    if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
        subject["apiGroup"] = _RBAC_GROUP


def network_policy(spec: Obj) -> None:
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def scaler(spec: Obj) -> None:
    """80 % of the CPU request if no metric is named, and the behaviour of each direction that is given."""
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if not isinstance(behavior, dict):
        return
    up = behavior.setdefault("scaleUp", {})
    up.setdefault("stabilizationWindowSeconds", 0)
    down = behavior.setdefault("scaleDown", {})
    for direction in (up, down):
        direction.setdefault("selectPolicy", "Max")
    up.setdefault(
        "policies",
        [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}],
    )
    down.setdefault("policies", [{"type": "Percent", "value": 100, "periodSeconds": 15}])


def crd_names(spec: Obj) -> None:
    """The singular is the kind in lower case, the list kind ends in List (SetDefaults_CustomResourceDefinition)."""
    names = spec.get("names")
    if isinstance(names, dict) and isinstance(names.get("kind"), str) and names["kind"]:
        if not names.get("singular"):
            names["singular"] = names["kind"].lower()
        if not names.get("listKind"):
            names["listKind"] = names["kind"] + "List"


def device_request(request: Obj) -> None:
    if request.get("allocationMode") == "ExactCount" and not request.get("count"):
        request["count"] = 1


RULES: dict[str, Callable[[Obj], None]] = {
    CORE + "PodSpec": pod_spec,
    CORE + "Pod": pod,
    CORE + "Container": image_pull_policy,
    CORE + "EphemeralContainer": image_pull_policy,
    CORE + "Volume": volume,
    CORE + "Service": service,
    CORE + "ServiceSpec": service_spec,
    DISCOVERY + "EndpointSlice": endpoint_slice,
    CORE + "ReplicationController": replication_controller,
    CORE + "ResourceRequirements": lists_of_resources("limits", "requests"),
    CORE + "VolumeResourceRequirements": lists_of_resources("limits", "requests"),
    CORE + "NodeStatus": node_status,
    CORE + "PersistentVolumeSpec": lists_of_resources("capacity"),
    CORE + "PersistentVolumeClaimStatus": lists_of_resources("capacity", "allocatedResources"),
    CORE + "ResourceQuotaSpec": lists_of_resources("hard"),
    CORE + "ResourceQuotaStatus": lists_of_resources("hard", "used"),
    CORE + "LimitRangeItem": lists_of_resources("default", "defaultRequest", "max", "maxLimitRequestRatio", "min"),
    "io.k8s.api.node.v1.Overhead": lists_of_resources("podFixed"),
    BATCH + "Job": labelled_from_template,
    APPS + "DeploymentStrategy": rolling(maxSurge="25%", maxUnavailable="25%"),
    APPS + "DaemonSetUpdateStrategy": rolling(maxSurge=0, maxUnavailable=1),
    APPS + "StatefulSetUpdateStrategy": stateful_set_strategy,
    BATCH + "JobSpec": job_spec,
    RBAC + "Subject": rbac_subject,
    NET + "NetworkPolicySpec": network_policy,
    HPA + "HorizontalPodAutoscalerSpec": scaler,
    CRD + "CustomResourceDefinitionSpec": crd_names,
    RESOURCE + "ExactDeviceRequest": device_request,
    RESOURCE + "DeviceSubRequest": device_request,
}


def rule_of(definition: str) -> Callable[[Obj], None] | None:
    """Fills in what depends on other fields, after the fixed defaults of the object and all below it."""
    return RULES.get(definition)
