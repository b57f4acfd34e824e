"""api-machinery/crd-conversion: versions of custom resources that a webhook makes of each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.api.raw import Answer
from tests.conformance.definitions import CRD, defined, definition, instance, version
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space
from tests.conformance.tls_pods import Served, serving

pytestmark = pytest.mark.conformance
TEXT = {"type": "string"}
V1: Obj = {"type": "object", "properties": {"hostPort": TEXT}}
V2: Obj = {"type": "object", "properties": {"host": TEXT, "port": TEXT}}
SPLIT, WHOLE = {"host": "localhost", "port": "8080"}, {"hostPort": "localhost:8080"}


@pytest.fixture
def hook(space: Space) -> Iterator[Served]:
    with serving(space, "webhooks", "e2e-test-crd-conversion-webhook", port=9443) as found:
        yield found


@contextmanager
def converted(hook: Served, **more: Obj) -> Iterator[str]:
    """A definition that stores v1 and serves v2, too; what is left in the end is deleted before the webhook is."""
    space, webhook = hook.space, {"clientConfig": hook.client_config("/crdconvert", 9443)}
    conversion = {"strategy": "Webhook", "webhook": {**webhook, "conversionReviewVersions": ["v1", "v1beta1"]}}
    v1, v2 = version("v1", V1), version("v2", V2, storage=False, **more)
    with defined(space, definition(space, "Foo", v1, v2, conversion=conversion)) as group:
        yield group
        name = f"foos.{group.rstrip('/')}"
        space.delete(CRD, name)
        space.wait(lambda: space.gone(CRD, name))


def fields(obj: Obj) -> Obj:
    return {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}


@row("CustomResourceConversionWebhook should be able to convert from CR v1 to CR v2")
def test_what_was_written_as_one_version_is_read_and_changed_as_another(hook: Served):
    space = hook.space
    with converted(hook) as group:
        v1, v2 = f"{group}v1/Foo", f"{group}v2/Foo"
        space.create(instance(f"{group}v2", "Foo", "stub"))
        space.delete(v2, "stub")
        events = space.watch(v2)
        space.create(instance(f"{group}v1", "Foo", "one", **WHOLE))
        found = space.get(v2, "one")
        assert (found["apiVersion"], fields(found)) == (f"{group}v2", SPLIT)
        assert next(events)["object"] == found
        patched = space.patch(v2, "one", {"port": "9090"})
        assert fields(patched) == {"host": "localhost", "port": "9090"}
        assert fields(space.get(v1, "one")) == {"hostPort": "localhost:9090"}
        assert next(events)["object"] == patched
        made = space.create(instance(f"{group}v2", "Foo", "two", **SPLIT))
        assert fields(made) == SPLIT
        assert fields(space.get(v1, "two")) == WHOLE
        found = space.get(v2, "two")
        found["port"] = "1"
        assert fields(space.update(found)) == {"host": "localhost", "port": "1"}
        space.delete(v2, "two")
        assert space.gone(v1, "two")
        assert "localhost" in space.kubectl("get", f"foos.v2.{group.rstrip('/')}", "one", "-o", "yaml")


@row("CustomResourceConversionWebhook should be able to convert a non homogeneous list of CRs")
def test_a_list_of_what_is_stored_in_several_versions_is_of_one(hook: Served):
    space = hook.space
    with converted(hook) as group:
        space.create(instance(f"{group}v1", "Foo", "cr-instance-1", **WHOLE))
        name = f"foos.{group.rstrip('/')}"

        def move() -> Obj:
            present = space.get(CRD, name)
            for each in present["spec"]["versions"]:
                each["storage"] = each["name"] == "v2"
            return space.update(present)

        space.wait(move)
        space.create(instance(f"{group}v1", "Foo", "cr-instance-2", **WHOLE))
        assert space.wait(lambda: space.get(CRD, name)["status"]["storedVersions"] == ["v1", "v2"])
        for each, wanted in (("v1", WHOLE), ("v2", SPLIT)):
            found = space.list(f"{group}{each}/Foo")
            assert [one["metadata"]["name"] for one in found] == ["cr-instance-1", "cr-instance-2"]
            assert [one["apiVersion"] for one in found] == [f"{group}{each}"] * 2
            assert [fields(one) for one in found] == [wanted, wanted]


def test_a_converter_may_change_labels_and_nothing_else_of_the_metadata(hook: Served):
    space = hook.space
    with converted(hook) as group:
        made = instance(f"{group}v1", "Foo", "one", **WHOLE)
        made["metadata"]["labels"] = {"mode": "metadata"}
        space.create(made)
        found = space.get(f"{group}v2/Foo", "one")["metadata"]
        assert found["labels"] == {"mode": "metadata", "converted": "true"}
        assert "finalizers" not in found


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("fail", "failed: told to fail"),
        ("rename", "returned invalid converted object at index 0: must have the same name: one != somebody-else"),
    ],
)
def test_a_conversion_that_fails_fails_the_request(hook: Served, mode: str, said: str):
    space = hook.space
    with converted(hook) as group:
        made = instance(f"{group}v1", "Foo", "one", **WHOLE)
        made["metadata"]["labels"] = {"mode": mode}
        space.create(made)
        answers: list[Answer] = [
            space.ask("GET", f"{group}v2/Foo", "one"),
            space.ask("GET", f"{group}v2/Foo"),
            space.ask("PATCH", f"{group}v2/Foo", "one", {"port": "1"}, type="application/merge-patch+json"),
        ]
        for each in answers:
            assert each.code == 500
            assert each.json["message"] == f"conversion webhook for {group}v1, Kind=Foo {said}"
        assert fields(space.get(f"{group}v1/Foo", "one")) == WHOLE


def test_fields_of_converted_objects_select_them(hook: Served):
    space = hook.space
    with converted(hook, selectableFields=[{"jsonPath": ".port"}]) as group:
        for name, port in (("one", "1"), ("two", "2")):
            space.create(instance(f"{group}v1", "Foo", name, hostPort=f"localhost:{port}"))
        (found,) = space.list(f"{group}v2/Foo", fieldSelector="port=2")
        assert found["metadata"]["name"] == "two"
        events = space.watch(f"{group}v2/Foo", fieldSelector="port=2")
        assert next(events)["object"]["metadata"]["name"] == "two"
        space.patch(f"{group}v1/Foo", "two", {"hostPort": "localhost:3"})
        assert next(events)["type"] == "DELETED"
