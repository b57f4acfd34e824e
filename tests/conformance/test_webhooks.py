"""api-machinery/webhooks: admission webhooks that run in a pod, called by the API server over TLS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.api.raw import JSON_PATCH, MERGE, Answer
from tests.conformance.definitions import CRD, defined, definition, instance, version
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod
from tests.conformance.tls_pods import Served, serving

pytestmark = pytest.mark.conformance
GROUP = "admissionregistration.k8s.io/v1"
VALIDATING, MUTATING = "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"
DATA: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
UNWANTED = {"webhook-e2e-test": "webhook-disallow"}


@pytest.fixture
def hook(space: Space) -> Iterator[Served]:
    with serving(space, "webhooks") as found:
        yield found


def rule(resource: str, *operations: str, group: str = "", versions: tuple[str, ...] = ("v1",)) -> Obj:
    return {
        "operations": list(operations or ("CREATE",)),
        "apiGroups": [group],
        "apiVersions": list(versions),
        "resources": [resource],
    }


def webhook(hook: Served, path: str, *rules: Obj, number: int = 0, **more: Any) -> Obj:
    """For requests in the namespace of the test alone."""
    space = hook.space.name
    return {
        "name": f"{path.strip('/').replace('/', '-')}-{number}.k8s.io",
        "rules": list(rules),
        "clientConfig": hook.client_config(path),
        "sideEffects": "None",
        "admissionReviewVersions": ["v1", "v1beta1"],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}},
        **more,
    }


def configuration(space: Space, kind: str, *webhooks: Obj, name: str = "", **labels: str) -> Obj:
    metadata = {"name": name or space.name, "labels": labels}
    return {"apiVersion": GROUP, "kind": kind, "metadata": metadata, "webhooks": list(webhooks)}


@contextmanager
def configured(space: Space, kind: str, *webhooks: Obj) -> Iterator[None]:
    space.create(configuration(space, kind, *webhooks))
    try:
        yield
    finally:
        space.delete(f"{GROUP}/{kind}", space.name)


def config(name: str = "one", **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def refused(answer: Answer, said: str) -> None:
    """The webhook gave a reason and no code."""
    assert f"denied the request: {said}" in answer.refused(400, said)


def denied(space: Space, obj: Obj, said: str) -> None:
    kind = f"{obj['apiVersion']}/{obj['kind']}"
    refused(space.ask("POST", kind, body=obj), said)
    assert space.gone(kind, obj["metadata"]["name"])


@row("AdmissionWebhook should include webhook resources in discovery documents")
def test_webhooks_are_in_discovery(space: Space):
    groups = space.http.get("/apis").ok()["groups"]
    found = next(each for each in groups if each["name"] == "admissionregistration.k8s.io")
    assert {"groupVersion": GROUP, "version": "v1"} in found["versions"]
    alone = space.http.get("/apis/admissionregistration.k8s.io").ok()
    assert {"groupVersion": GROUP, "version": "v1"} in alone["versions"]
    names = [each["name"] for each in space.http.get(f"/apis/{GROUP}").ok()["resources"]]
    assert {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} <= set(names)


@row("AdmissionWebhook should be able to deny pod and configmap creation")
def test_pods_and_configmaps_are_denied(hook: Served):
    space = hook.space
    maps = webhook(hook, "/configmaps", rule("configmaps", "CREATE", "UPDATE", "DELETE"))
    with configured(space, VALIDATING, webhook(hook, "/pods", rule("pods"), timeoutSeconds=1), maps):
        made = pod("disallowed-pod")
        made["metadata"]["labels"] = UNWANTED
        denied(space, made, "the pod contains unwanted container name")
        made = pod("hanging-pod")
        made["metadata"]["labels"] = {"webhook-e2e-test": "wait-forever"}
        said = space.ask("POST", "v1/Pod", body=made).refused(500, "InternalError")
        assert "webhook" in said
        assert "deadline" in said
        assert space.gone("v1/Pod", "hanging-pod")
        unwanted = "the configmap contains unwanted key and value"
        denied(space, config("disallowed-configmap", **UNWANTED), unwanted)
        present = space.create(config("allowed-configmap", admit="this"))
        present["data"] |= UNWANTED
        answer = space.ask("PUT", "v1/ConfigMap", "allowed-configmap", present)
        refused(answer, unwanted)
        answer = space.ask("PATCH", "v1/ConfigMap", "allowed-configmap", {"data": UNWANTED}, type=MERGE)
        refused(answer, unwanted)
        exempt = space.another()
        exempt.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": exempt.name}})
        exempt.create(config("disallowed-configmap", **UNWANTED))
        exempt.delete("v1/Namespace", exempt.name)


@row("AdmissionWebhook should be able to deny attaching pod")
def test_attaching_is_denied(hook: Served):
    space = hook.space
    made = pod("to-be-attached-pod")
    made["spec"]["containers"][0]["name"] = "container1"
    space.run(made)
    with configured(space, VALIDATING, webhook(hook, "/pods/attach", rule("pods/attach", "CONNECT"))):
        done = space.try_kubectl("attach", "to-be-attached-pod", "-i", "-c=container1")
        assert done.returncode != 0
        assert "attaching to pod 'to-be-attached-pod' is not allowed" in done.stderr


@row("AdmissionWebhook should be able to deny custom resource creation, update and deletion")
def test_custom_resources_are_denied(hook: Served):
    space = hook.space
    schema = {"type": "object", "properties": {"data": DATA}}
    with defined(space, definition(space, "Foo", version("v1", schema))) as group:
        kind, said = f"{group}v1/Foo", "the custom resource contains unwanted data"
        rules = rule("foos", "CREATE", "UPDATE", "DELETE", group=group.rstrip("/"))
        with configured(space, VALIDATING, webhook(hook, "/custom-resource", rules)):
            denied(space, instance(f"{group}v1", data=UNWANTED), said)
            space.create(instance(f"{group}v1", data={"webhook-e2e-test": "webhook-allow"}))
            patch = {"data": UNWANTED}
            answer = space.ask("PATCH", kind, "one", patch, type=MERGE)
            refused(answer, said)
        space.patch(kind, "one", {"data": UNWANTED})
        with configured(space, VALIDATING, webhook(hook, "/custom-resource", rules)):
            refused(space.ask("DELETE", kind, "one"), said)
        space.delete(kind, "one")


@row("AdmissionWebhook should unconditionally reject operations on fail closed webhook")
def test_a_webhook_that_cannot_be_trusted_fails_closed(hook: Served):
    closed = webhook(hook, "/configmaps", rule("configmaps"), failurePolicy="Fail")
    del closed["clientConfig"]["caBundle"]
    with configured(hook.space, VALIDATING, closed):
        hook.space.ask("POST", "v1/ConfigMap", body=config("fail-closed")).refused(500, "InternalError")


@row("AdmissionWebhook should honor timeout")
def test_a_slow_webhook_is_waited_for_as_long_as_it_says(hook: Served):
    space = hook.space
    slow = webhook(hook, "/always-allow-delay-5s", rule("configmaps"))
    with configured(space, VALIDATING, {**slow, "timeoutSeconds": 1, "failurePolicy": "Fail"}):
        said = space.ask("POST", "v1/ConfigMap", body=config("early")).refused(500, "InternalError")
        assert "/always-allow-delay-5s?timeout=1s" in said
        assert "context deadline exceeded" in said
    with configured(space, VALIDATING, {**slow, "timeoutSeconds": 1, "failurePolicy": "Ignore"}):
        space.create(config("ignored"))
    for number, seconds in enumerate(({"timeoutSeconds": 10}, {})):
        with configured(space, VALIDATING, {**slow, **seconds, "failurePolicy": "Fail"}):
            began = time.monotonic()
            space.create(config(f"waited-{number}"))
            assert time.monotonic() - began >= 5


@row("AdmissionWebhook should deny crd creation")
def test_definitions_are_denied(hook: Served):
    space = hook.space
    definitions = webhook(hook, "/crd", rule("customresourcedefinitions", group="apiextensions.k8s.io"))
    del definitions["namespaceSelector"]
    with configured(space, VALIDATING, {**definitions, "objectSelector": {"matchLabels": UNWANTED}}):
        denied(space, definition(space, labels=UNWANTED), "the crd contains unwanted label")


@row("AdmissionWebhook should mutate configmap")
def test_a_webhook_sees_what_another_changed(hook: Served):
    first = webhook(hook, "/mutating-configmaps", rule("configmaps"))
    second = webhook(hook, "/mutating-configmaps", rule("configmaps"), number=1)
    with configured(hook.space, MUTATING, first, second):
        made = hook.space.create(config("to-be-mutated", **{"mutation-start": "yes"}))
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


@row("AdmissionWebhook should mutate pod and apply defaults after mutation")
def test_what_a_webhook_adds_is_defaulted(hook: Served):
    with configured(hook.space, MUTATING, webhook(hook, "/mutating-pods", rule("pods"))):
        made = hook.space.create(pod("webhook-to-be-mutated"))
    (added,) = made["spec"]["initContainers"]
    assert added["name"] == "webhook-added-init-container"
    assert added["terminationMessagePolicy"] == "File"


@row("AdmissionWebhook should not be able to mutate or prevent deletion of webhook configuration objects")
def test_webhooks_have_no_say_over_webhooks(hook: Served):
    space = hook.space
    rules = [
        rule(resource, "*", group="admissionregistration.k8s.io", versions=("*",))
        for resource in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
    ]
    deny, label = webhook(hook, "/always-deny", *rules), webhook(hook, "/add-label", *rules)
    for each in (deny, label):
        del each["namespaceSelector"]
    with configured(space, VALIDATING, deny), configured(space, MUTATING, label):
        for kind in (VALIDATING, MUTATING):
            dummy = webhook(hook, "/nothing", rule("invalid"), failurePolicy="Ignore")
            made = space.create(configuration(space, kind, dummy, name=f"{space.name}-dummy"))
            assert not made["metadata"].get("labels")
            space.delete(f"{GROUP}/{kind}", f"{space.name}-dummy")


def custom(space: Space, group: str) -> Obj:
    return space.create(instance(f"{group}v1", data={"mutation-start": "yes"}))["data"]


@pytest.mark.parametrize(
    ("schema", "left"),
    [
        pytest.param(
            DATA,
            {"mutation-start", "mutation-stage-1", "mutation-stage-2"},
            marks=row("AdmissionWebhook should mutate custom resource"),
            id="all",
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"mutation-start": {"type": "string"}, "mutation-stage-1": {"type": "string"}},
            },
            {"mutation-start", "mutation-stage-1"},
            marks=row("AdmissionWebhook should mutate custom resource with pruning"),
            id="pruned",
        ),
    ],
)
def test_what_a_webhook_adds_is_pruned(hook: Served, schema: Obj, left: set[str]):
    space = hook.space
    wanted = definition(space, "Foo", version("v1", {"type": "object", "properties": {"data": schema}}))
    with defined(space, wanted) as group:
        rules = rule("foos", group=group.rstrip("/"))
        hooks = [webhook(hook, "/mutating-custom-resource", rules, number=number) for number in (1, 2)]
        with configured(space, MUTATING, *hooks):
            assert custom(space, group).keys() == left


@row("AdmissionWebhook should mutate custom resource with different stored version")
def test_a_custom_resource_is_mutated_while_its_storage_version_moves(hook: Served):
    space = hook.space
    schema = {"type": "object", "properties": {"data": DATA}}
    wanted = definition(space, "Foo", version("v1", schema), version("v2", schema, storage=False))
    with defined(space, wanted) as group:
        rules = rule("foos", "CREATE", "UPDATE", group=group.rstrip("/"))
        with configured(space, MUTATING, webhook(hook, "/mutating-custom-resource", rules)):
            assert custom(space, group).keys() == {"mutation-start", "mutation-stage-1"}
            flags = ((0, "false"), (1, "true"))
            patch = [
                {"op": "replace", "path": f"/spec/versions/{number}/storage", "value": value == "true"}
                for number, value in flags
            ]
            space.patch(CRD, wanted["metadata"]["name"], patch, type=JSON_PATCH)
            space.wait(lambda: "v2" in space.get(CRD, wanted["metadata"]["name"])["status"]["storedVersions"])
            patched = space.patch(f"{group}v1/Foo", "one", {"data": {"dummy": "foo"}})
            assert patched["data"] == {
                "mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes", "dummy": "foo",
            }  # fmt: skip


WAYS = [
    pytest.param(
        VALIDATING,
        marks=row(
            "AdmissionWebhook listing validating webhooks should work",
            "AdmissionWebhook patching/updating a validating webhook should work",
        ),
        id="validating",
    ),
    pytest.param(
        MUTATING,
        marks=row(
            "AdmissionWebhook listing mutating webhooks should work",
            "AdmissionWebhook patching/updating a mutating webhook should work",
        ),
        id="mutating",
    ),
]


def acts(space: Space, kind: str) -> bool:
    """Whether webhooks of /configmaps, or /mutating-configmaps, are asked about creations."""
    if kind == VALIDATING:
        answer = space.ask("POST", "v1/ConfigMap", body=config("probe", **UNWANTED))
    else:
        answer = space.ask("POST", "v1/ConfigMap", body=config("probe", **{"mutation-start": "yes"}))
    if answer.code == 201:
        space.delete("v1/ConfigMap", "probe")
        return "mutation-stage-1" in answer.json["data"]
    refused(answer, "the configmap contains unwanted key and value")
    return True


@pytest.mark.parametrize("kind", WAYS)
def test_configurations_act_from_their_creation_to_their_end(hook: Served, kind: str):
    space = hook.space
    path = "/configmaps" if kind == VALIDATING else "/mutating-configmaps"
    select, full = f"e2e-list-test-uuid={space.name}", f"{GROUP}/{kind}"
    for number in range(10):
        one = webhook(hook, path, rule("configmaps"), number=number)
        name = f"{space.name}-{number}"
        space.create(configuration(space, kind, one, name=name, **{"e2e-list-test-uuid": space.name}))
    assert len(space.list(full, labelSelector=select)) == 10
    assert acts(space, kind)
    space.http.delete(space.path(full, labelSelector=select)).ok()
    assert not acts(space, kind)

    with configured(space, kind, webhook(hook, path, rule("configmaps"))):
        assert acts(space, kind)
        present = space.get(full, space.name)
        present["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]
        space.update(present)
        assert not acts(space, kind)
        patch = [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]
        space.patch(full, space.name, patch, type=JSON_PATCH)
        assert acts(space, kind)


CONDITIONS = [
    {"name": "expression-1", "expression": "object.metadata.namespace == 'production'"},
    {"name": "expression-2", "expression": "object.metadata.name == 'default'"},
]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            VALIDATING,
            marks=row(
                "AdmissionWebhook should be able to create and update validating webhook configurations with match "
                "conditions",
                "AdmissionWebhook should reject validating webhook configurations with invalid match conditions",
            ),
            id="validating",
        ),
        pytest.param(
            MUTATING,
            marks=row(
                "AdmissionWebhook should be able to create and update mutating webhook configurations with match "
                "conditions",
                "AdmissionWebhook should reject mutating webhook configurations with invalid match conditions",
            ),
            id="mutating",
        ),
    ],
)
def test_match_conditions_are_kept_as_given_and_have_to_compile(space: Space, kind: str):
    hook = Served(space, "e2e-test-webhook", "")
    one = webhook(hook, "/nothing", rule("nothing"), matchConditions=CONDITIONS[:1])
    space.create(configuration(space, kind, one))
    full = f"{GROUP}/{kind}"
    present = space.get(full, space.name)
    assert present["webhooks"][0]["matchConditions"] == CONDITIONS[:1]
    present["webhooks"][0]["matchConditions"] = CONDITIONS
    assert space.update(present)["webhooks"][0]["matchConditions"] == CONDITIONS
    assert space.get(full, space.name)["webhooks"][0]["matchConditions"] == CONDITIONS
    space.delete(full, space.name)
    bad = {**one, "matchConditions": [{"name": "invalid-expression-1", "expression": "... bad expression"}]}
    said = space.ask("POST", full, body=configuration(space, kind, bad)).refused(422, "Invalid")
    assert "compilation failed" in said


@row("AdmissionWebhook should mutate everything except 'skip-me' configmaps")
def test_a_match_condition_leaves_one_out(hook: Served):
    condition = {"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}
    one = webhook(hook, "/mutating-configmaps", rule("configmaps"), matchConditions=[condition])
    with configured(hook.space, MUTATING, one):
        assert hook.space.create(config("skip-me", **{"mutation-start": "yes"}))["data"] == {
            "mutation-start": "yes"
        }
        made = hook.space.create(config("to-be-mutated", **{"mutation-start": "yes"}))
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}
