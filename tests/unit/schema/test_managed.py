"""managedFields of ordinary writers, and server-side apply."""

import copy
import json
from typing import Any

import pytest

from minikube.schema.clean import clean
from minikube.schema.defaults import apply_defaults
from minikube.schema.fieldset import difference, of_object, paths, union
from minikube.schema.managed import APPLY, LAST_APPLIED, ApplyConflict, Writer, apply, track
from minikube.schema.structure import builtin, compile

DEPLOYMENT = builtin("io.k8s.api.apps.v1.Deployment")
SERVICE = builtin("io.k8s.api.core.v1.Service")
CONFIG_MAP = builtin("io.k8s.api.core.v1.ConfigMap")
T0, T1, T2 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"


def updater(name: str, subresource: str = "", reset: tuple[str, ...] = ("status",)) -> Writer:
    return Writer(manager=name, api_version="apps/v1", subresource=subresource, reset=reset)


def applier(name: str) -> Writer:
    return Writer(manager=name, api_version="apps/v1", operation=APPLY, reset=("status",))


def deployment(replicas: int = 1, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "default", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "a:1", "ports": [{"containerPort": 80}]}]},
            },
        },
    }


def test_a_created_object_is_its_creators_as_upstream_writes_it() -> None:
    obj = deployment(app="a")
    apply_defaults(obj, DEPLOYMENT)
    [entry] = track(None, obj, [], DEPLOYMENT, updater("kubectl-create"), T0)
    assert (entry["manager"], entry["operation"], entry["time"]) == ("kubectl-create", "Update", T0)
    assert entry["fieldsV1"]["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    spec = entry["fieldsV1"]["f:spec"]
    assert spec["f:selector"] == {}
    assert spec["f:strategy"] == {
        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
        "f:type": {},
    }
    assert spec["f:template"]["f:spec"]["f:containers"] == {
        'k:{"name":"c"}': {
            ".": {},
            "f:image": {},
            "f:imagePullPolicy": {},
            "f:name": {},
            "f:ports": {
                ".": {},
                'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
            },
            "f:resources": {},
            "f:terminationMessagePath": {},
            "f:terminationMessagePolicy": {},
        }
    }


def test_an_update_takes_what_it_changes_and_leaves_the_rest_to_others() -> None:
    old = deployment()
    managed = track(None, old, [], DEPLOYMENT, updater("one"), T0)
    new = deployment(replicas=3)
    managed = track(old, new, managed, DEPLOYMENT, updater("two"), T1)
    assert {entry["manager"]: list(paths(entry["fieldsV1"])) for entry in managed}["two"] == [".spec.replicas"]
    one = next(entry for entry in managed if entry["manager"] == "one")
    assert "f:replicas" not in one["fieldsV1"]["f:spec"]
    assert one["time"] == T0


def test_a_write_that_changes_no_field_leaves_the_entries_alone() -> None:
    old = deployment()
    managed = track(None, old, [], DEPLOYMENT, updater("one"), T0)
    new = copy.deepcopy(old)
    new["metadata"]["resourceVersion"] = "7"
    assert track(old, new, managed, DEPLOYMENT, updater("two"), T1) == managed


def test_a_removed_field_is_nobodys() -> None:
    old = deployment(app="a", team="b")
    managed = track(None, old, [], DEPLOYMENT, updater("one"), T0)
    [entry] = track(old, deployment(app="a"), managed, DEPLOYMENT, updater("two"), T1)
    assert entry["fieldsV1"]["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}


def test_status_belongs_to_the_writer_of_the_subresource() -> None:
    old = deployment()
    managed = track(None, old, [], DEPLOYMENT, updater("one"), T0)
    new = {**deployment(), "status": {"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]}}
    managed = track(old, new, managed, DEPLOYMENT, updater("controller", "status", ("spec",)), T1)
    entry = next(entry for entry in managed if entry["manager"] == "controller")
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {
        "f:status": {
            "f:conditions": {".": {}, 'k:{"type":"Available"}': {".": {}, "f:status": {}, "f:type": {}}},
            "f:replicas": {},
        }
    }


def test_applying_creates_with_the_fields_that_were_said() -> None:
    applied = apply(None, deployment(app="a"), [], DEPLOYMENT, applier("kubectl"), T0)
    [entry] = applied.managed
    assert entry["operation"] == "Apply"
    assert entry["fieldsV1"]["f:metadata"] == {"f:labels": {"f:app": {}}}
    assert entry["fieldsV1"]["f:spec"]["f:replicas"] == {}


def test_a_field_no_longer_applied_is_removed() -> None:
    first = apply(None, deployment(app="a", team="b"), [], DEPLOYMENT, applier("kubectl"), T0)
    live = first.object
    apply_defaults(live, DEPLOYMENT)
    second = apply(live, deployment(app="a"), first.managed, DEPLOYMENT, applier("kubectl"), T1)
    assert second.object["metadata"]["labels"] == {"app": "a"}
    assert second.object["spec"]["revisionHistoryLimit"] == 10
    assert second.managed[0]["time"] == T1


def test_a_field_somebody_else_manages_too_stays() -> None:
    first = apply(None, deployment(app="a", team="b"), [], DEPLOYMENT, applier("one"), T0)
    second = apply(first.object, deployment(app="a", team="b"), first.managed, DEPLOYMENT, applier("two"), T1)
    assert not second.changed
    third = apply(second.object, deployment(app="a"), second.managed, DEPLOYMENT, applier("one"), T2)
    assert third.object["metadata"]["labels"] == {"app": "a", "team": "b"}


def test_an_applied_list_element_that_is_dropped_goes_with_its_defaults() -> None:
    def service(*ports: int) -> dict[str, Any]:
        return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": p, "name": f"p{p}"} for p in ports]}}

    writer = Writer(manager="kubectl", api_version="v1", operation=APPLY)
    first = apply(None, service(80, 443), [], SERVICE, writer, T0)
    apply_defaults(first.object, SERVICE)
    second = apply(first.object, service(443), first.managed, SERVICE, writer, T1)
    assert [port["port"] for port in second.object["spec"]["ports"]] == [443]


def test_changing_anothers_field_is_a_conflict_unless_forced() -> None:
    live = deployment()
    managed = track(None, live, [], DEPLOYMENT, updater("x"), T0)
    with pytest.raises(ApplyConflict) as conflict:
        apply(live, deployment(replicas=5), managed, DEPLOYMENT, applier("kubectl"), T1)
    assert conflict.value.message == (
        'Apply failed with 1 conflict: conflict with "x" using apps/v1: .spec.replicas'
    )
    assert conflict.value.causes == (
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "x" using apps/v1',
            "field": ".spec.replicas",
        },
    )
    forced = apply(live, deployment(replicas=5), managed, DEPLOYMENT, applier("kubectl"), T1, force=True)
    assert forced.object["spec"]["replicas"] == 5
    assert "f:replicas" not in forced.managed[1]["fieldsV1"]["f:spec"]


def test_several_conflicts_are_told_by_manager() -> None:
    live = deployment(a="b")
    managed = track(None, live, [], DEPLOYMENT, updater("x"), T0)
    other = deployment(replicas=5, a="c")
    with pytest.raises(ApplyConflict) as conflict:
        apply(live, other, managed, DEPLOYMENT, applier("kubectl"), T1)
    assert conflict.value.message == (
        'Apply failed with 2 conflicts: conflicts with "x" using apps/v1:\n- .metadata.labels.a\n- .spec.replicas'
    )


def test_setting_a_field_to_what_it_is_shares_it() -> None:
    live = deployment()
    managed = track(None, live, [], DEPLOYMENT, updater("x"), T0)
    applied = apply(live, deployment(), managed, DEPLOYMENT, applier("kubectl"), T1)
    assert not applied.changed
    assert [entry["manager"] for entry in applied.managed] == ["kubectl", "x"]


def test_an_object_never_tracked_conflicts_as_before_first_apply() -> None:
    with pytest.raises(ApplyConflict, match='conflict with "before-first-apply" using apps/v1'):
        apply(deployment(), deployment(replicas=2), [], DEPLOYMENT, applier("kubectl"), T1)


def test_applied_elements_keep_their_order_and_others_theirs_between() -> None:
    structure = compile(
        {
            "type": "object",
            "properties": {"l": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}},
        }
    )
    writer = Writer(manager="m", api_version="e/v1", operation=APPLY)
    live = {"metadata": {"name": "a"}, "l": ["a", "b", "c", "x"]}
    managed = track(None, live, [], structure, Writer(manager="u", api_version="e/v1"), T0)
    config = {"metadata": {"name": "a"}, "l": ["c", "n", "a"]}
    applied = apply(live, config, managed, structure, writer, T1)
    assert applied.object["l"] == ["b", "c", "x", "n", "a"]


def test_lists_without_keys_are_owned_whole() -> None:
    structure = compile({"type": "object", "properties": {"l": {"type": "array", "items": {"type": "object"}}}})
    assert of_object({"l": [{"a": 1}]}, structure) == {"f:l": {}}


def test_at_most_eleven_entries_of_updaters_are_kept() -> None:
    obj: dict[str, Any] = {"metadata": {"name": "a"}, "data": {}}
    managed: list[dict[str, Any]] = []
    old: dict[str, Any] | None = None
    for index in range(14):
        new = {**obj, "data": {**obj["data"], f"k{index}": "v"}}
        writer = Writer(manager=f"m{index}", api_version="v1")
        managed = track(old, new, managed, CONFIG_MAP, writer, f"2026-01-01T00:00:{index:02}Z")
        obj = old = new
    assert len(managed) == 10
    assert managed[0]["manager"] == "ancient-changes"


def test_union_and_difference_undo_each_other() -> None:
    one = of_object(deployment(app="a"), DEPLOYMENT)
    two = of_object({"spec": {"paused": True}, "metadata": {"labels": {"x": "y"}}}, DEPLOYMENT)
    assert difference(union(one, two), two) == one


def test_cleaned_and_defaulted_deployments_have_stable_sets() -> None:
    obj = deployment()
    clean(obj, DEPLOYMENT)
    apply_defaults(obj, DEPLOYMENT)
    again = copy.deepcopy(obj)
    apply_defaults(again, DEPLOYMENT)
    assert again == obj


def test_kubectl_takes_over_what_its_client_side_apply_set() -> None:
    live = deployment()
    live["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(deployment())}
    managed = track(None, live, [], DEPLOYMENT, updater("kubectl-client-side-apply"), T0)
    applied = apply(live, deployment(replicas=2), managed, DEPLOYMENT, applier("kubectl"), T1)
    assert applied.object["spec"]["replicas"] == 2
    assert json.loads(applied.object["metadata"]["annotations"][LAST_APPLIED])["spec"]["replicas"] == 2
    live["spec"]["replicas"] = 9
    with pytest.raises(ApplyConflict):
        apply(live, deployment(replicas=2), managed, DEPLOYMENT, applier("kubectl"), T1)
