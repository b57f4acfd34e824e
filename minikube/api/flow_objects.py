"""The flow schemas and priority levels that a cluster starts with: the mandatory ones, which are put back whatever
happens to them, and those that are suggested.

Facts: kubernetes staging/src/k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap/default.go.
"""

from __future__ import annotations

from minikube.api.flowcontrol_v1 import (
    ExemptPriorityLevelConfiguration,
    FlowDistinguisherMethod,
    FlowSchema,
    FlowSchemaSpec,
    GroupSubject,
    LimitedPriorityLevelConfiguration,
    LimitResponse,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    PriorityLevelConfiguration,
    PriorityLevelConfigurationReference,
    PriorityLevelConfigurationSpec,
    QueuingConfiguration,
    ResourcePolicyRule,
    ServiceAccountSubject,
    Subject,
    UserSubject,
)
from minikube.api.meta import ObjectMeta
from minikube.api.well_known import AUTHENTICATED, MASTERS, UNAUTHENTICATED

AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
EXEMPT, CATCH_ALL = "exempt", "catch-all"
MANDATORY = (EXEMPT, CATCH_ALL)
BY_USER, BY_NAMESPACE = FlowDistinguisherMethod(type="ByUser"), FlowDistinguisherMethod(type="ByNamespace")
ALL = ("*",)
QUEUE_LENGTH = 50


def priority_levels() -> tuple[PriorityLevelConfiguration, ...]:
    everything = PriorityLevelConfigurationSpec(
        type="Exempt", exempt=ExemptPriorityLevelConfiguration(nominal_concurrency_shares=0, lendable_percent=0)
    )
    return (
        PriorityLevelConfiguration(metadata=_named(EXEMPT), spec=everything),
        _limited(CATCH_ALL, 5, 0),
        _limited("system", 30, 33, queues=64, hand=6),
        _limited("node-high", 40, 25, queues=64, hand=6),
        _limited("leader-election", 10, 0, queues=16, hand=4),
        _limited("workload-high", 40, 50, queues=128, hand=6),
        _limited("workload-low", 100, 90, queues=128, hand=6),
        _limited("global-default", 20, 50, queues=128, hand=6),
    )


def flow_schemas() -> tuple[FlowSchema, ...]:
    everybody = _groups(UNAUTHENTICATED, AUTHENTICATED)
    nodes, own = _groups("system:nodes"), (_account("*"),)
    endpoints_accounts = _account("endpoint-controller"), _account("endpointslicemirroring-controller")
    manager, scheduler = _user("system:kube-controller-manager"), _user("system:kube-scheduler")
    probed = NonResourcePolicyRule(verbs=("get",), non_resource_urls=("/healthz", "/readyz", "/livez"))
    leases = _on("coordination.k8s.io", "leases", verbs=("get", "create", "update"))
    endpoints = _on("", "endpoints", verbs=("get", "create", "update"))
    reported = (_on("", "nodes", "nodes/status", cluster=True), _on("coordination.k8s.io", "leases"))
    return (
        _schema(EXEMPT, EXEMPT, 1, None, _anything(_groups(MASTERS))),
        _schema(
            "probes", EXEMPT, 2, None, PolicyRulesWithSubjects(subjects=everybody, non_resource_rules=(probed,))
        ),
        _schema(
            "system-leader-election", "leader-election", 100, BY_USER, _only((manager, scheduler, *own), leases)
        ),
        _schema(
            "endpoint-controller", "workload-high", 150, BY_USER,
            _only((manager, *endpoints_accounts), endpoints),
        ),
        _schema("workload-leader-election", "leader-election", 200, BY_USER, _only(own, leases)),
        _schema("system-node-high", "node-high", 400, BY_USER, _only(nodes, *reported)),
        _schema("system-nodes", "system", 500, BY_USER, _anything(nodes)),
        _schema("kube-controller-manager", "workload-high", 800, BY_NAMESPACE, _anything((manager,))),
        _schema("kube-scheduler", "workload-high", 800, BY_NAMESPACE, _anything((scheduler,))),
        _schema("kube-system-service-accounts", "workload-high", 900, BY_NAMESPACE, _anything(own)),
        _schema("service-accounts", "workload-low", 9000, BY_USER, _anything(_groups("system:serviceaccounts"))),
        _schema("global-default", "global-default", 9900, BY_USER, _anything(everybody)),
        _schema(CATCH_ALL, CATCH_ALL, 10000, BY_USER, _anything(everybody)),
    )  # fmt: skip


def _named(name: str) -> ObjectMeta:
    return ObjectMeta(name=name, annotations={AUTOUPDATE: "true"})


def _limited(
    name: str, shares: int, lendable: int, *, queues: int = 0, hand: int = 0
) -> PriorityLevelConfiguration:
    """Without queues a request that finds no seat is refused."""
    queuing = (
        QueuingConfiguration(queues=queues, hand_size=hand, queue_length_limit=QUEUE_LENGTH) if queues else None
    )
    limited = LimitedPriorityLevelConfiguration(
        nominal_concurrency_shares=shares,
        lendable_percent=lendable,
        limit_response=LimitResponse(type="Queue" if queuing else "Reject", queuing=queuing),
    )
    spec = PriorityLevelConfigurationSpec(type="Limited", limited=limited)
    return PriorityLevelConfiguration(metadata=_named(name), spec=spec)


def _schema(
    name: str, level: str, precedence: int, method: FlowDistinguisherMethod | None, rules: PolicyRulesWithSubjects
) -> FlowSchema:
    spec = FlowSchemaSpec(
        distinguisher_method=method,
        matching_precedence=precedence,
        priority_level_configuration=PriorityLevelConfigurationReference(name=level),
        rules=(rules,),
    )
    return FlowSchema(metadata=_named(name), spec=spec)


def _groups(*names: str) -> tuple[Subject, ...]:
    return tuple(Subject(kind="Group", group=GroupSubject(name=name)) for name in names)


def _user(name: str) -> Subject:
    return Subject(kind="User", user=UserSubject(name=name))


def _account(name: str) -> Subject:
    account = ServiceAccountSubject(name=name, namespace="kube-system")
    return Subject(kind="ServiceAccount", service_account=account)


def _anything(subjects: tuple[Subject, ...]) -> PolicyRulesWithSubjects:
    return PolicyRulesWithSubjects(
        subjects=subjects,
        resource_rules=(_on("*", "*", cluster=True),),
        non_resource_rules=(NonResourcePolicyRule(verbs=ALL, non_resource_urls=ALL),),
    )


def _only(subjects: tuple[Subject, ...], *rules: ResourcePolicyRule) -> PolicyRulesWithSubjects:
    return PolicyRulesWithSubjects(subjects=subjects, resource_rules=rules)


def _on(group: str, *resources: str, verbs: tuple[str, ...] = ALL, cluster: bool = False) -> ResourcePolicyRule:
    """In every namespace; `cluster`: also where there is none."""
    return ResourcePolicyRule(
        verbs=verbs, api_groups=(group,), resources=resources, namespaces=ALL, cluster_scope=cluster or None
    )
