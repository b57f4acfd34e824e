"""What keeps an API of somebody else from being used, how it is listed, and what is told of who asks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from minikube.api.apiregistration_v1 import ServiceReference
from minikube.api.core_v1 import Service, ServicePort, ServiceSpec
from minikube.api.discovery_v1 import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from minikube.api.meta import ObjectMeta
from minikube.apiserver.aggregation import tell
from minikube.apiserver.discovery import RemoteVersion, aggregated, api_group_list
from minikube.apiserver.flow import is_long_running
from minikube.apiserver.remote_apis import Unavailable, check_endpoints
from minikube.apiserver.request_info import request_info
from minikube.auth.base import User

API = ServiceReference(name="api", namespace="ns", port=443)
SERVICE = Service(
    metadata=ObjectMeta(name="api", namespace="ns"),
    spec=ServiceSpec(type="ClusterIP", ports=(ServicePort(name="https", port=443),)),
)


def endpoints(*, ready: bool | None = True, port: str = "https") -> EndpointSlice:
    conditions = EndpointConditions(ready=ready)
    return EndpointSlice(
        endpoints=(Endpoint(addresses=("10.42.0.2",), conditions=conditions),),
        ports=(EndpointPort(name=port, port=9443),),
    )


@pytest.mark.parametrize(
    ("service", "slices", "reason", "message"),
    [
        (None, [], "ServiceNotFound", 'service/api in "ns" is not present'),
        (
            Service(spec=ServiceSpec(type="ClusterIP", ports=(ServicePort(port=80),))),
            [endpoints()],
            "ServicePortError",
            'service/api in "ns" is not listening on port 443',
        ),
        (SERVICE, [], "EndpointsNotFound", 'cannot find endpointslices for service/api in "ns"'),
        (
            SERVICE,
            [endpoints(ready=False), endpoints(port="http")],
            "MissingEndpoints",
            'endpointslices for service/api in "ns" have no addresses with port name "https"',
        ),
    ],
)
def test_a_service_that_cannot_answer_says_why(service: Service | None, slices: Any, reason: str, message: str):
    with pytest.raises(Unavailable) as refused:
        check_endpoints(API, service, slices)
    assert (refused.value.reason, refused.value.message) == (reason, message)


@pytest.mark.parametrize("ready", [True, None])
def test_one_ready_endpoint_is_enough(ready: bool | None):
    check_endpoints(API, SERVICE, [endpoints(ready=False), endpoints(ready=ready)])


def test_a_service_outside_the_cluster_has_no_endpoints_to_look_at():
    check_endpoints(API, Service(spec=ServiceSpec(type="ExternalName")), [])


FLUNDERS = {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "verbs": ["get"]}
SCALE = {"name": "flunders/scale", "namespaced": True, "group": "autoscaling", "version": "v1", "kind": "Scale"}
REMOTE = RemoteVersion("wardle.example.com", "v1alpha1", 2000, [{**SCALE, "verbs": ["get"]}, FLUNDERS], fresh=False)


def test_discovery_lists_what_others_serve():
    (group,) = api_group_list((), [REMOTE])["groups"]
    assert group["preferredVersion"] == {"groupVersion": "wardle.example.com/v1alpha1", "version": "v1alpha1"}
    (item,) = aggregated((), core=False, remote=[REMOTE])["items"]
    (version,) = item["versions"]
    assert version["freshness"] == "Stale"
    (flunders,) = version["resources"]
    assert flunders["responseKind"] == {"group": "wardle.example.com", "version": "v1alpha1", "kind": "Flunder"}
    assert flunders["scope"] == "Namespaced"
    scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert flunders["subresources"] == [{"subresource": "scale", "responseKind": scale, "verbs": ["get"]}]


def test_a_more_important_group_comes_first():
    others = [RemoteVersion(name, "v1", priority, (), fresh=True) for name, priority in (("a", 100), ("b", 2000))]
    assert [group["name"] for group in api_group_list((), others)["groups"]] == ["b", "a"]


def test_a_connection_that_an_api_takes_over_may_last():
    info = request_info("GET", "/apis/a.example.com/v1/namespaces/n/machines/m/console")
    assert not is_long_running(info)
    assert is_long_running(msgspec.structs.replace(info, upgraded=True))


def test_what_a_client_says_of_itself_is_not_passed_on():
    headers = CIMultiDict({"X-Remote-User": "admin", "x-remote-extra-a": "b", "X-Remote-Uid": "0", "Accept": "*/*"})
    tell(headers, User("jane", uid="7", groups=("a", "b"), extra={"example.com/x": ("1", "2")}))
    assert headers == CIMultiDict(
        [
            ("Accept", "*/*"),
            ("X-Remote-User", "jane"),
            ("X-Remote-Uid", "7"),
            ("X-Remote-Group", "a"),
            ("X-Remote-Group", "b"),
            ("X-Remote-Extra-example.com%2Fx", "1"),
            ("X-Remote-Extra-example.com%2Fx", "2"),
        ]
    )
