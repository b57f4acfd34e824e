"""Webhooks: who is asked about what, how an answer changes or refuses a request, what a failing one does."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from minikube.admission.base import Attributes
from minikube.admission.chain import Chain
from minikube.admission.webhooks.base import CallFailed
from minikube.admission.webhooks.matching import covers
from minikube.admission.webhooks.plugins import MutatingWebhooks, ValidatingWebhooks
from minikube.api.admissionregistration_v1 import (
    MatchCondition,
    MutatingWebhook,
    MutatingWebhookConfiguration,
    RuleWithOperations,
    ValidatingWebhook,
    ValidatingWebhookConfiguration,
    WebhookClientConfig,
)
from minikube.api.core_v1 import ConfigMap, Namespace, Node, Pod
from minikube.api.meta import ObjectMeta, Resource
from minikube.api.meta_v1 import LabelSelector
from minikube.auth.base import MASTERS, Action, Decision, User
from minikube.errors import ApiError, Forbidden, InternalError, Invalid
from minikube.registry.conversion import ConversionFailed
from minikube.registry.informers import LocalInformers
from minikube.registry.local import LocalClient
from minikube.registry.registry import StoreRegistry
from minikube.resources.all import ALL
from minikube.settings import Settings
from minikube.store.memory import MemoryStore

Say = Callable[[Mapping[str, Any]], Mapping[str, Any]]
ANYTHING = RuleWithOperations(
    api_groups=("*",), api_versions=("*",), resources=("*",), operations=("CREATE", "UPDATE", "DELETE")
)


class Asked:
    """A Caller whose webhooks are functions, found by the URL; keeps the questions."""

    def __init__(self) -> None:
        self.hooks: dict[str, Say] = {}
        self.questions: list[Mapping[str, Any]] = []

    async def call(self, target: WebhookClientConfig, body: bytes, *, timeout: float) -> bytes:
        question = msgspec.json.decode(body)["request"]
        self.questions.append(question)
        answer = {"uid": question["uid"], "allowed": True, **self.hooks[target.url](question)}
        head = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return msgspec.json.encode({**head, "response": answer})


class Everything:
    """Is allowed."""

    def authorize(self, user: User, action: Action) -> Decision:
        return Decision(True)


class Split:
    """Versions of a resource: v1 has the `hostPort` that v2 has as `host` and `port`."""

    def __init__(self) -> None:
        self.served: tuple[Resource, ...] = ()
        self.broken = ""

    def others(self, resource: Resource) -> tuple[Resource, ...]:
        return tuple(each for each in self.served if each.version != resource.version)

    async def convert(self, tree: Mapping[str, Any], own: Resource, wanted: Resource) -> dict[str, Any]:
        if self.broken:
            raise ConversionFailed(self.broken)
        made = {**tree, "apiVersion": wanted.api_version}
        if wanted.version == "v1":
            made["hostPort"] = f"{made.pop('host')}:{made.pop('port')}"
        else:
            made["host"], made["port"] = made.pop("hostPort").split(":")
        return made


class World:
    def __init__(self, registry: StoreRegistry) -> None:
        self.client = LocalClient(registry, User("admin", groups=(MASTERS,)), "test")
        self.asked = Asked()
        self.versions = Split()
        informers = LocalInformers(registry)
        self.chain = Chain(
            (
                MutatingWebhooks(informers, self.asked, self.versions, Everything()),
                ValidatingWebhooks(informers, self.asked, self.versions, Everything()),
            )
        )

    async def mutating(self, name: str, say: Say, **changes: Any) -> None:
        hook = MutatingWebhook(**{**self._hook(name, say), **changes})
        await self.client.create(MutatingWebhookConfiguration(metadata=ObjectMeta(name=name), webhooks=(hook,)))

    async def validating(self, name: str, say: Say, **changes: Any) -> None:
        hook = ValidatingWebhook(**{**self._hook(name, say), **changes})
        await self.client.create(ValidatingWebhookConfiguration(metadata=ObjectMeta(name=name), webhooks=(hook,)))

    def _hook(self, name: str, say: Say) -> dict[str, Any]:
        url = f"https://{name}.example.com/"
        self.asked.hooks[url] = say
        return {
            "name": f"{name}.example.com",
            "client_config": WebhookClientConfig(url=url),
            "rules": (ANYTHING,),
            "side_effects": "None",
            "admission_review_versions": ("v1",),
        }

    async def admit(self, request: Attributes) -> dict[str, Any]:
        await self.chain.mutate(request)
        await self.chain.validate(request)
        return request.object or {}


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    registry = StoreRegistry(MemoryStore(), ALL, settings=Settings())
    await registry.start()
    running = asyncio.create_task(registry.run())
    world = World(registry)
    labels = {"team": "a"}
    await world.client.create(Namespace(metadata=ObjectMeta(name="default", labels=labels)))
    yield world
    running.cancel()


def request(**changes: Any) -> Attributes:
    tree = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"app": "x"}}}
    given: dict[str, Any] = {
        "operation": "CREATE",
        "resource": ConfigMap.resource,
        "subresource": "",
        "namespace": "default",
        "name": "c",
        "object": tree,
        "old": None,
        "user": User("jane", groups=("devs",)),
    }
    return Attributes(**{**given, "warnings": [], "seen": {}, **changes})


def patching(*operations: Mapping[str, Any]) -> Say:
    encoded = base64.b64encode(msgspec.json.encode(operations)).decode()
    return lambda question: {"patchType": "JSONPatch", "patch": encoded}


def quiet(question: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


async def test_a_refusal_is_the_webhooks_own_status(world: World) -> None:
    await world.validating(
        "no", lambda question: {"allowed": False, "status": {"code": 418, "message": "teapot", "reason": "Brewing"}}
    )
    with pytest.raises(ApiError) as refused:
        await world.admit(request())
    assert refused.value.message == 'admission webhook "no.example.com" denied the request: teapot'
    assert (refused.value.code, refused.value.status()["reason"]) == (418, "Brewing")


async def test_a_refusal_without_words_says_so(world: World) -> None:
    await world.validating("no", lambda question: {"allowed": False})
    with pytest.raises(ApiError, match="denied the request without explanation") as refused:
        await world.admit(request())
    assert refused.value.code == 400


async def test_the_question_tells_who_wants_what(world: World) -> None:
    await world.validating("see", quiet)
    await world.admit(request(operation="UPDATE", old={"metadata": {"name": "c"}}, dry_run=True))
    [asked] = world.asked.questions
    assert asked["userInfo"]["username"] == "jane"
    assert (asked["operation"], asked["dryRun"], asked["namespace"], asked["name"]) == (
        "UPDATE",
        True,
        "default",
        "c",
    )
    assert asked["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert asked["resource"] == asked["requestResource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert asked["object"]["metadata"]["labels"] == {"app": "x"}
    assert asked["oldObject"] == {"metadata": {"name": "c"}}
    assert asked["options"]["kind"] == "UpdateOptions"


async def test_mutating_webhooks_see_what_the_ones_before_them_made(world: World) -> None:
    await world.mutating("a", patching({"op": "add", "path": "/data", "value": {"one": "1"}}))
    await world.mutating("b", patching({"op": "add", "path": "/data/two", "value": "2"}))
    assert (await world.admit(request()))["data"] == {"one": "1", "two": "2"}


async def test_one_that_wants_it_is_asked_again_when_a_later_one_changed_the_object(world: World) -> None:
    await world.mutating("a", quiet, reinvocation_policy="IfNeeded")
    await world.mutating("b", patching({"op": "add", "path": "/data", "value": {}}))
    await world.admit(request())
    assert [question["object"].get("data") for question in world.asked.questions] == [None, None, {}]


async def test_a_bad_patch_is_an_internal_error(world: World) -> None:
    await world.mutating("a", patching({"op": "remove", "path": "/nothing"}))
    with pytest.raises(InternalError):
        await world.admit(request())


async def test_a_failing_webhook_refuses_or_is_ignored_as_its_policy_says(world: World) -> None:
    def broken(question: Mapping[str, Any]) -> Mapping[str, Any]:
        raise CallFailed('Post "https://a.example.com/?timeout=10s": connection refused')

    await world.validating("a", broken, failure_policy="Ignore")
    await world.admit(request())
    await world.validating("b", broken)
    with pytest.raises(InternalError, match=r'calling webhook "b.example.com": failed to call webhook: Post'):
        await world.admit(request())


async def test_namespaces_and_objects_are_selected_by_their_labels(world: World) -> None:
    await world.validating("in", quiet, namespace_selector=LabelSelector(match_labels={"team": "a"}))
    await world.validating("out", quiet, namespace_selector=LabelSelector(match_labels={"team": "b"}))
    await world.validating("old", quiet, object_selector=LabelSelector(match_labels={"app": "before"}))
    await world.admit(request())
    assert len(world.asked.questions) == 1
    await world.admit(request(old={"metadata": {"labels": {"app": "before"}}}))
    assert len(world.asked.questions) == 3


FOO_V1, FOO_V2 = (Resource("x.io", version, "Foo", "foos", namespaced=True) for version in ("v1", "v2"))
ONLY_V1 = RuleWithOperations(
    api_groups=("x.io",), api_versions=("v1",), resources=("foos",), operations=("*",), scope="*"
)
HEAD = {"apiVersion": "x.io/v2", "kind": "Foo", "metadata": {}}


def foo(**changes: Any) -> Attributes:
    return request(resource=FOO_V2, **{"object": {**HEAD, "host": "a", "port": "1"}, **changes})


async def test_an_equivalent_version_is_converted_for_the_rule_that_names_it_and_back(world: World) -> None:
    world.versions.served = (FOO_V1, FOO_V2)
    change = patching({"op": "replace", "path": "/hostPort", "value": "b:2"})
    await world.mutating("any", change, rules=(ONLY_V1,))
    await world.mutating("exact", quiet, rules=(ONLY_V1,), match_policy="Exact")
    old = {**HEAD, "host": "z", "port": "9"}
    found = await world.admit(foo(operation="UPDATE", old=old))
    assert found == {**HEAD, "host": "b", "port": "2"}
    [asked] = world.asked.questions
    assert asked["object"] == {**HEAD, "apiVersion": "x.io/v1", "hostPort": "a:1"}
    assert asked["oldObject"] == {**HEAD, "apiVersion": "x.io/v1", "hostPort": "z:9"}
    assert [asked[name]["version"] for name in ("kind", "resource")] == ["v1", "v1"]
    assert [asked[name]["version"] for name in ("requestKind", "requestResource")] == ["v2", "v2"]


async def test_a_rule_for_one_version_is_not_passed_by_in_another(world: World) -> None:
    world.versions.served = (FOO_V1, FOO_V2)
    condition = MatchCondition(name="it", expression="object.hostPort == 'a:1'")
    no = {"match_conditions": (condition,), "rules": (ONLY_V1,)}
    await world.validating("no", lambda question: {"allowed": False}, **no)
    with pytest.raises(ApiError, match="denied the request"):
        await world.admit(foo())
    await world.admit(foo(object={**HEAD, "host": "b", "port": "1"}))


async def test_what_cannot_be_converted_is_refused_whatever_the_failure_policy(world: World) -> None:
    world.versions.served = (FOO_V1, FOO_V2)
    world.versions.broken = "conversion webhook for x.io/v2, Kind=Foo failed: gone"
    await world.validating("any", quiet, rules=(ONLY_V1,), failure_policy="Ignore")
    with pytest.raises(InternalError, match="Internal error occurred: conversion webhook for"):
        await world.admit(foo())
    assert not world.asked.questions


async def test_what_decides_over_admission_is_never_asked_about(world: World) -> None:
    await world.validating("no", lambda question: {"allowed": False})
    await world.admit(request(resource=ValidatingWebhookConfiguration.resource, namespace=""))


@pytest.mark.parametrize(
    ("resources", "scope", "resource", "subresource", "namespace", "expected"),
    [
        (("pods",), "", Pod.resource, "", "default", True),
        (("pods",), "", Pod.resource, "status", "default", False),
        (("pods/*",), "", Pod.resource, "status", "default", True),
        (("pods/attach",), "", Pod.resource, "attach", "default", True),
        (("*/status",), "", Pod.resource, "status", "default", True),
        (("*",), "", Pod.resource, "status", "default", False),
        (("*/*",), "", Pod.resource, "status", "default", True),
        (("*/*",), "", Pod.resource, "", "default", True),
        (("*",), "Cluster", Pod.resource, "", "default", False),
        (("*",), "Namespaced", Pod.resource, "", "default", True),
        (("*",), "Cluster", Node.resource, "", "", True),
        (("*",), "Cluster", Namespace.resource, "", "default", True),
        (("nodes",), "", Pod.resource, "", "default", False),
    ],
)
def test_rules_cover(
    resources: tuple[str, ...], scope: str, resource: Resource, subresource: str, namespace: str, expected: bool
) -> None:
    rule = RuleWithOperations(
        api_groups=("",), api_versions=("v1",), operations=("*",), resources=resources, scope=scope
    )
    about = request(resource=resource, subresource=subresource, namespace=namespace)
    assert covers(rule, about, resource) is expected


def conditions(*expressions: str) -> tuple[MatchCondition, ...]:
    return tuple(MatchCondition(name=f"c{index}", expression=text) for index, text in enumerate(expressions))


async def test_only_requests_that_meet_all_conditions_are_asked_about(world: World) -> None:
    skip = conditions("object.metadata.name != 'skip-me'", "request.userInfo.username == 'jane'")
    await world.validating("v", quiet, match_conditions=skip)
    await world.mutating("m", quiet, match_conditions=skip)
    tree = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "skip-me"}}
    await world.admit(request(object=tree, name="skip-me"))
    await world.admit(request(user=User("joe")))
    assert world.asked.questions == []
    await world.admit(request())
    assert len(world.asked.questions) == 2


async def test_a_condition_sees_what_the_webhooks_before_made(world: World) -> None:
    await world.mutating("a", patching({"op": "add", "path": "/data", "value": {"one": "1"}}))
    await world.mutating("b", quiet, match_conditions=conditions("has(object.data) && oldObject == null"))
    await world.admit(request())
    assert len(world.asked.questions) >= 2


async def test_a_failing_condition_counts_as_the_failure_policy_says(world: World) -> None:
    failing = conditions("object.nothing.here == 1")
    await world.validating("a", quiet, match_conditions=failing, failure_policy="Ignore")
    await world.validating("b", quiet, match_conditions=(*failing, MatchCondition(name="no", expression="false")))
    await world.admit(request())
    await world.validating("c", quiet, match_conditions=failing)
    with pytest.raises(Forbidden) as refused:
        await world.admit(request())
    why = "expression 'object.nothing.here == 1' resulted in error: no such key: nothing"
    assert refused.value.message == f'configmaps "c" is forbidden: {why}'
    assert world.asked.questions == []


async def test_conditions_that_do_not_compile_or_are_no_condition_are_invalid(world: World) -> None:
    with pytest.raises(Invalid, match=r"webhooks.0..matchConditions.0..expression.*compilation failed: ERROR"):
        await world.validating("a", quiet, match_conditions=conditions("... [] bad expression"))
    with pytest.raises(Invalid, match="must evaluate to bool"):
        await world.mutating("b", quiet, match_conditions=conditions("'text'"))
    with pytest.raises(Invalid, match=r"matchConditions.1..name: Duplicate value"):
        await world.mutating("b", quiet, match_conditions=conditions("true")[:1] * 2)
