"""networking.k8s.io: ingresses, network policies, service CIDRs and addresses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.networking_v1 import Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR
from minikube.resources.declare import NONE, columns, declare, joined, selector, since, some
from minikube.resources.rules.networking import (
    IngressClassRules,
    IngressRules,
    IPAddressRules,
    NetworkPolicyRules,
    ServiceCIDRRules,
)


def ingress_row(ingress: Ingress, now: datetime) -> Sequence[Any]:
    spec, balancer = ingress.spec, ingress.status.load_balancer
    return (
        ingress.metadata.name,
        spec.ingress_class_name or NONE,
        some([rule.host for rule in spec.rules if rule.host], 3, "*"),
        ",".join(one.ip or one.hostname for one in (balancer.ingress if balancer else ())),
        "80, 443" if spec.tls else "80",
        since(ingress, now),
    )


def ingress_class_row(ingress_class: IngressClass, now: datetime) -> Sequence[Any]:
    parameters, shown = ingress_class.spec.parameters, NONE
    if parameters:
        group = f".{parameters.api_group}" if parameters.api_group else ""
        shown = f"{parameters.kind}{group}/{parameters.name}"
    return ingress_class.metadata.name, ingress_class.spec.controller, shown, since(ingress_class, now)


def policy_row(policy: NetworkPolicy, now: datetime) -> Sequence[Any]:
    chosen = policy.spec.pod_selector
    return policy.metadata.name, selector(chosen) if chosen else NONE, since(policy, now)


def cidr_row(cidr: ServiceCIDR, now: datetime) -> Sequence[Any]:
    return cidr.metadata.name, joined(cidr.spec.cidrs), since(cidr, now)


def address_row(address: IPAddress, now: datetime) -> Sequence[Any]:
    parent = address.spec.parent_ref
    resource = f"{parent.resource}.{parent.group}" if parent.group else parent.resource
    shown = "/".join(part for part in (resource, parent.namespace, parent.name) if part)
    return address.metadata.name, shown or NONE, since(address, now)


KINDS = (
    declare(
        Ingress,
        counted=True,
        strategy=IngressRules(),
        short_names=("ing",),
        status=True,
        columns=columns("Name", "Class", "Hosts", "Address", "Ports", "Age"),
        row=ingress_row,
    ),
    declare(
        IngressClass,
        counted=True,
        strategy=IngressClassRules(),
        columns=columns("Name", "Controller", "Parameters", "Age"),
        row=ingress_class_row,
    ),
    declare(
        NetworkPolicy,
        counted=True,
        strategy=NetworkPolicyRules(),
        short_names=("netpol",),
        columns=columns("Name", "Pod-Selector", "Age"),
        row=policy_row,
    ),
    declare(
        ServiceCIDR, strategy=ServiceCIDRRules(), status=True, columns=columns("Name", "CIDRs", "Age"), row=cidr_row
    ),
    declare(
        IPAddress,
        strategy=IPAddressRules(),
        short_names=("ip",),
        columns=columns("Name", "ParentRef", "Age"),
        row=address_row,
    ),
)
