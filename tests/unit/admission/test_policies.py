"""Admission policies: which requests they see, what their expressions know, what a denial says and does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from minikube.admission.base import Attributes
from minikube.admission.policies.plugin import ValidatingPolicies
from minikube.api.admissionregistration_v1 import (
    AuditAnnotation,
    MatchCondition,
    MatchResources,
    NamedRuleWithOperations,
    ParamKind,
    ParamRef,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    ValidatingAdmissionPolicyBindingSpec,
    ValidatingAdmissionPolicySpec,
    Validation,
    Variable,
)
from minikube.api.apps_v1 import Deployment
from minikube.api.core_v1 import ConfigMap, Namespace
from minikube.api.meta import ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.auth.base import MASTERS, Action, Decision, User
from minikube.errors import ApiError
from minikube.registry.informers import LocalInformers
from minikube.registry.local import LocalClient
from minikube.registry.parameters import CachedParameters
from minikube.registry.registry import StoreRegistry
from minikube.resources.all import ALL
from minikube.settings import Settings
from minikube.store.memory import MemoryStore

DEPLOYMENTS = NamedRuleWithOperations(
    api_groups=("apps",), api_versions=("v1",), resources=("deployments",), operations=("CREATE", "UPDATE")
)
ONLY_DEPLOYMENTS = MatchResources(resource_rules=(DEPLOYMENTS,))
REPLICATED = (Validation(expression="object.spec.replicas > 1"),)


class OnlyAccounts:
    """Allows service accounts everything on one deployment."""

    def authorize(self, user: User, action: Action) -> Decision:
        if not user.name.startswith("system:serviceaccount:") or "system:serviceaccounts" not in user.groups:
            return Decision(False, f"{user.name} is no account")
        return Decision((action.resource, action.name, action.verb) == ("deployments", "d", "sell"), "")


class World:
    def __init__(self, registry: StoreRegistry) -> None:
        self.client = LocalClient(registry, User("admin", groups=(MASTERS,)), "test")
        parameters = CachedParameters(registry)
        self.plugin = ValidatingPolicies(LocalInformers(registry), parameters, registry, OnlyAccounts())

    async def policy(self, name: str = "p", **spec: Any) -> None:
        given = {"match_constraints": ONLY_DEPLOYMENTS, "validations": REPLICATED, **spec}
        await self.client.create(
            ValidatingAdmissionPolicy(metadata=ObjectMeta(name=name), spec=ValidatingAdmissionPolicySpec(**given))
        )

    async def bind(self, name: str = "b", *actions: str, policy: str = "p", **spec: Any) -> None:
        given = {"policy_name": policy, "validation_actions": actions or ("Deny",), **spec}
        await self.client.create(
            ValidatingAdmissionPolicyBinding(
                metadata=ObjectMeta(name=name), spec=ValidatingAdmissionPolicyBindingSpec(**given)
            )
        )

    async def denial(self, request: Attributes) -> str:
        """What the policies say of a request, "" for nothing."""
        try:
            await self.plugin.validate(request)
        except ApiError as error:
            return error.message.rpartition("denied request: ")[2]
        return ""


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    registry = StoreRegistry(MemoryStore(), ALL, settings=Settings())
    await registry.start()
    running = asyncio.create_task(registry.run())
    world = World(registry)
    await world.client.create(Namespace(metadata=ObjectMeta(name="default", labels={"team": "a"})))
    yield world
    running.cancel()


def deployment(replicas: int = 1, **changes: Any) -> Attributes:
    tree = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"app": "x"}},
        "spec": {"replicas": replicas},
    }  # fmt: skip
    given: dict[str, Any] = {
        "operation": "CREATE",
        "resource": Deployment.resource,
        "subresource": "",
        "namespace": "default",
        "name": "d",
        "object": tree,
        "old": None,
        "user": User("jane", groups=("devs",)),
    }
    return Attributes(**{**given, "warnings": [], "annotations": {}, **changes})


async def test_a_denial_names_policy_and_binding(world: World) -> None:
    await world.policy()
    await world.bind()
    with pytest.raises(ApiError) as refused:
        await world.plugin.validate(deployment(1))
    said = (
        "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: object.spec.replicas > 1"
    )
    assert refused.value.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'deployments.apps "d" is forbidden: {said}',
        "reason": "Invalid",
        "details": {"name": "d", "group": "apps", "kind": "deployments", "causes": [{"message": said}]},
        "code": 422,
    }
    assert await world.denial(deployment(2)) == ""


async def test_without_a_binding_nothing_is_denied(world: World) -> None:
    await world.policy()
    assert await world.denial(deployment()) == ""
    await world.bind(policy="other")
    assert await world.denial(deployment()) == ""


async def test_only_what_rules_and_selectors_of_both_cover(world: World) -> None:
    await world.policy()
    mine = MatchResources(namespace_selector=LabelSelector(match_labels={"team": "a"}))
    await world.bind(match_resources=mine)
    assert await world.denial(deployment())
    assert await world.denial(deployment(operation="DELETE")) == ""
    assert await world.denial(deployment(resource=ConfigMap.resource)) == ""
    await world.client.create(Namespace(metadata=ObjectMeta(name="theirs", labels={"team": "b"})))
    assert await world.denial(deployment(namespace="theirs")) == ""


async def test_named_and_excluded_resources(world: World) -> None:
    named = msgspec.structs.replace(DEPLOYMENTS, resource_names=("d",))
    await world.policy(
        match_constraints=MatchResources(resource_rules=(DEPLOYMENTS,), exclude_resource_rules=(named,))
    )
    await world.bind()
    assert await world.denial(deployment()) == ""
    assert await world.denial(deployment(name="other"))


async def test_match_conditions_leave_requests_out(world: World) -> None:
    await world.policy(
        match_conditions=(MatchCondition(name="c", expression="request.userInfo.username != 'jane'"),)
    )
    await world.bind()
    assert await world.denial(deployment()) == ""
    assert await world.denial(deployment(user=User("joe")))


async def test_variables_see_the_ones_before_and_matter_when_read(world: World) -> None:
    await world.policy(
        variables=(
            Variable(name="replicas", expression="object.spec.replicas"),
            Variable(name="even", expression="variables.replicas % 2 == 0"),
            Variable(name="broken", expression="object.spec.nothing"),
        ),
        validations=(
            Validation(expression="variables.even", message_expression="'odd: ' + string(variables.replicas)"),
        ),
    )
    await world.bind()
    assert await world.denial(deployment(2)) == ""
    assert await world.denial(deployment(3)) == "odd: 3"
    unreadable = Variable(name="v", expression="object.x")
    await world.policy("q", variables=(unreadable,), validations=(Validation(expression="variables.v"),))
    await world.bind("c", policy="q")
    assert await world.denial(deployment(2)) == (
        "expression 'variables.v' resulted in error: composited variable \"v\" fails to evaluate: "
        "expression 'object.x' resulted in error: no such key: x"
    )


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (Validation(expression="false", message=" fixed "), "fixed"),
        (
            Validation(expression="false", message="fixed", message_expression="'said ' + object.metadata.name"),
            "said d",
        ),
        (Validation(expression="false", message="fixed", message_expression="object.nothing"), "fixed"),
        (Validation(expression="false", message_expression="'a\\nb'"), "failed expression: false"),
        (Validation(expression="object.no == 1"), "expression 'object.no == 1' resulted in error: no such key: no"),
        (Validation(expression="namespaceObject.metadata.labels.team != 'a'", message="team a"), "team a"),
    ],
)
async def test_messages(world: World, validation: Validation, message: str) -> None:
    await world.policy(validations=(validation,))
    await world.bind()
    assert await world.denial(deployment()) == message


async def test_the_reason_decides_the_code(world: World) -> None:
    await world.policy(validations=(Validation(expression="false", reason="Forbidden"),))
    await world.bind()
    with pytest.raises(ApiError) as refused:
        await world.plugin.validate(deployment())
    assert (refused.value.code, refused.value.reason) == (403, "Forbidden")


async def test_errors_are_ignored_if_the_policy_says_so(world: World) -> None:
    await world.policy(
        failure_policy="Ignore",
        validations=(Validation(expression="object.no == 1"), Validation(expression="object.spec.replicas > 1")),
    )
    await world.bind()
    assert await world.denial(deployment(2)) == ""
    assert await world.denial(deployment(1)) == "failed expression: object.spec.replicas > 1"


async def test_warnings_and_notes_instead_of_a_denial(world: World) -> None:
    await world.policy(
        audit_annotations=(AuditAnnotation(key="who", value_expression="request.userInfo.username"),)
    )
    await world.bind("b", "Warn", "Audit")
    asked = deployment()
    assert await world.denial(asked) == ""
    assert asked.warnings == [
        "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': "
        "failed expression: object.spec.replicas > 1"
    ]
    assert asked.annotations["p/who"] == "jane"
    [failure] = msgspec.json.decode(asked.annotations["validation.policy.admission.k8s.io/validation_failure"])
    assert (failure["policy"], failure["expressionIndex"]) == ("p", 0)


LIMIT = {
    "param_kind": ParamKind(api_version="v1", kind="ConfigMap"),
    "validations": (Validation(expression="object.spec.replicas <= int(params.data.most)"),),
}


async def test_parameters_by_name_and_by_label(world: World) -> None:
    await world.policy(**LIMIT)
    await world.bind(param_ref=ParamRef(name="limit", parameter_not_found_action="Deny"))
    assert await world.denial(deployment()) == (
        "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    )
    meta = ObjectMeta(name="limit", namespace="default", labels={"limits": "yes"})
    await world.client.create(ConfigMap(metadata=meta, data={"most": "2"}))
    assert await world.denial(deployment(2)) == ""
    assert await world.denial(deployment(3))
    labelled = LabelSelector(match_labels={"limits": "yes"})
    await world.policy("q", **LIMIT)
    await world.bind(
        "c", "Warn", policy="q", param_ref=ParamRef(selector=labelled, parameter_not_found_action="Allow")
    )
    asked = deployment(3)
    await world.denial(asked)
    assert len(asked.warnings) == 1


async def test_parameters_of_no_known_kind(world: World) -> None:
    await world.policy(param_kind=ParamKind(api_version="example.com/v1", kind="Limit"))
    await world.bind(param_ref=ParamRef(name="x", parameter_not_found_action="Allow"))
    assert await world.denial(deployment(2)) == (
        "failed to configure binding: paramKind kind `example.com/v1, Kind=Limit` not known"
    )


@pytest.mark.parametrize(
    ("expression", "denied"),
    [
        ("authorizer.group('apps').resource('deployments').name('d').check('sell').allowed()", True),
        ("authorizer.requestResource.check('sell').reason().endsWith(' is no account')", False),
        ("authorizer.serviceAccount('x', 'a').group('apps').resource('deployments').name('d')"
         ".check('sell').allowed()", False),
        ("authorizer.path('/healthz').check('get').errored() || authorizer.path('/a').check('get').error() != ''",
         True),
    ],
)  # fmt: skip
async def test_policies_ask_the_authorizer(world: World, expression: str, denied: bool) -> None:
    await world.policy(validations=(Validation(expression=expression, message="refused"),))
    await world.bind()
    said = await world.denial(deployment(2))
    assert bool(said) is denied, said


async def test_messages_of_policies_cannot_ask_the_authorizer(world: World) -> None:
    speaking = Validation(expression="false", message_expression="authorizer.path('/a').check('get').reason()")
    with pytest.raises(ApiError, match=r"messageExpression.*undeclared reference to 'authorizer'"):
        await world.policy(validations=(speaking,))
