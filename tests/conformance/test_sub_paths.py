"""storage/subpath, and what upstream's subPath suite checks of every kind of volume beyond it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.rows import row
from tests.conformance.space import IMAGE, Obj, Space, pod, shell

pytestmark = pytest.mark.conformance

SUB = "part"


def mount(sub: str = "", **how: Any) -> Obj:
    return {"name": "v", "mountPath": "/v", **({"subPath": sub} if sub else {}), **how}


def container(name: str, script: str, *mounts: Obj) -> Obj:
    return {"name": name, "image": IMAGE, "command": list(shell(script)), "volumeMounts": list(mounts)}


def walker(source: Obj, *containers: Obj, init: tuple[Obj, ...] = (), **spec: Any) -> Obj:
    """Init containers see the whole volume or a part of it before the containers do."""
    made = pod("walker", volumes=[{"name": "v", **source}], **spec)
    made["spec"] |= {
        "initContainers": list(init),
        "containers": list(containers),
        "securityContext": {"seLinuxOptions": {"level": "s0:c0,c1"}},
    }
    return made


@pytest.mark.parametrize(
    ("source", "sub", "path", "value"),
    [
        pytest.param(
            {"secret": {"secretName": "source"}},
            "key",
            "/v",
            "value",
            marks=row("Subpath Atomic writer volumes should support subpaths with secret pod"),
            id="secret",
        ),
        pytest.param(
            {"configMap": {"name": "source"}},
            "key",
            "/v",
            "value",
            marks=row("Subpath Atomic writer volumes should support subpaths with configmap pod"),
            id="configMap",
        ),
        pytest.param(
            {"configMap": {"name": "source"}},
            "key",
            "/etc/resolv.conf",
            "value",
            marks=row(
                "Subpath Atomic writer volumes should support subpaths with configmap pod"
                " with mountPath of existing file"
            ),
            id="existing-file",
        ),
        pytest.param(
            {"downwardAPI": {"items": [{"path": "downward/name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            "downward/name",
            "/v",
            "walker",
            marks=row("Subpath Atomic writer volumes should support subpaths with downward pod"),
            id="downwardAPI",
        ),
        pytest.param(
            {
                "projected": {
                    "sources": [
                        {"configMap": {"name": "source", "items": [{"key": "key", "path": "projected/key"}]}}
                    ]
                }
            },
            "projected/key",
            "/v",
            "value",
            marks=row("Subpath Atomic writer volumes should support subpaths with projected pod"),
            id="projected",
        ),
    ],
)
def test_a_file_of_a_volume_that_follows_its_source(space: Space, source: Obj, sub: str, path: str, value: str):
    space.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "source"}, "data": {"key": "value"}}
    )
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "source"}, "stringData": {"key": "value"}}
    space.create(secret)
    made = walker(source, container("main", f"cat {path}", mount(sub, mountPath=path)))
    assert space.output(made) == value
    space.delete("v1/Pod", "walker")
    space.wait(lambda: space.gone("v1/Pod", "walker"))


CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
KINDS = ("emptyDir", "memory", "hostPath", "claim")


@pytest.fixture
def source(space: Space, request: pytest.FixtureRequest) -> Iterator[Obj]:
    """A volume of the kind that the test is parametrized with."""
    if request.param == "claim":
        space.create(CLAIM)
    yield {
        "emptyDir": {"emptyDir": {}},
        "memory": {"emptyDir": {"medium": "Memory"}},
        "hostPath": {"hostPath": {"path": f"/tmp/{space.name}", "type": "DirectoryOrCreate"}},
        "claim": {"persistentVolumeClaim": {"claimName": "claim"}},
    }[request.param]
    shutil.rmtree(f"/tmp/{space.name}", ignore_errors=True)


every_kind = pytest.mark.parametrize("source", KINDS, indirect=True)


@every_kind
def test_what_is_written_in_a_part_is_in_the_volume(space: Space, source: Obj):
    """A part that exists not yet, a directory, a file; a read-only one shows what is written in the volume."""
    places = (mount("new"), mount("deep"), mount("file"), mount("readable", readOnly=True))
    parts = [{**each, "mountPath": f"/{each['subPath']}"} for each in places]
    reads = "cat /deep/f /file /readable/f; ! touch /readable/x 2>&1 && ! mkdir /readable/y 2>&1"
    made = walker(
        source,
        container("whole", "cd /v; cat new/f file; stat -c %A new; find . -type f | sort; rm -rf /v/*", mount()),
        init=(
            container(
                "first",
                "cd /v; mkdir readable deep; for f in deep/f file readable/f; do echo $f > $f; done",
                mount(),
            ),
            container("parts", f"{reads} && echo new > /new/f && echo changed > /file", *parts),
        ),
    )
    space.finish(made)
    assert space.logs("walker", "-c", "parts").splitlines() == [
        *("deep/f", "file", "readable/f"),
        "touch: /readable/x: Read-only file system",
        "mkdir: can't create directory '/readable/y': Read-only file system",
    ]
    whole = space.logs("walker").splitlines()
    assert whole[:2] == ["new", "changed"]
    assert whole[2] == ("drwxr-xr-x" if "hostPath" in source else "drwxrwxrwx"), "as the volume's own directory"
    assert whole[3:] == ["./deep/f", "./file", "./new/f", "./readable/f"]


@pytest.mark.parametrize("target", ["/bin", "/bin/sh", "/bin/notanexistingpath", "../"])
@pytest.mark.parametrize("source", ["emptyDir", "claim"], indirect=True)
def test_a_link_out_of_the_volume_is_refused(space: Space, source: Obj, target: str):
    """The container waits with CreateContainerConfigError, and the pod can be deleted."""
    made = walker(
        source,
        container("main", "true", mount(SUB)),
        init=(container("first", f"ln -s {target} /v/{SUB}", mount()),),
    )
    space.create(made)

    def waits() -> Obj:
        found = space.get("v1/Pod", "walker")["status"]["containerStatuses"][0]["state"]["waiting"]
        assert found["reason"] == "CreateContainerConfigError", found
        return found

    message = space.wait(waits)["message"]
    word = "create subPath directory" if "notanexisting" in target else "prepare subPath"
    assert message == f'failed to {word} for volumeMount "v" of container "main"'
    space.wait(lambda: [each for each in space.events("walker") if each["reason"] == "Failed"])
    failed = [each for each in space.events("walker") if each["reason"] == "Failed"]
    assert [each["message"] for each in failed] == [f"Error: {message}"]
    space.delete("v1/Pod", "walker")
    space.wait(lambda: space.gone("v1/Pod", "walker"))


def test_a_link_within_the_volume_is_followed(space: Space):
    first = container("first", f"mkdir /v/there; echo found > /v/there/f; ln -s there /v/{SUB}", mount())
    assert (
        space.output(walker({"emptyDir": {}}, container("main", "cat /v/f", mount(SUB)), init=(first,)))
        == "found\n"
    )


@pytest.mark.parametrize("what", ["directory", "file"])
@pytest.mark.parametrize("source", ["emptyDir", "claim"], indirect=True)
def test_a_container_that_restarts_finds_its_part_again(space: Space, source: Obj, what: str):
    make = f"mkdir /v/{SUB}" if what == "directory" else f"echo one > /v/{SUB}"
    made = walker(
        source,
        container("main", "stat -c %F /v; trap 'exit 1' TERM; sleep 3600 & wait", mount(SUB)),
        container("whole", "sleep 3600", mount()),
        init=(container("first", make, mount()),),
        restartPolicy="OnFailure",
    )
    space.run(made)
    space.try_kubectl("exec", "walker", "-c", "main", "--", "kill", "-TERM", "1")
    space.wait(
        lambda: _statuses(space)["main"]["restartCount"] == 1 and "running" in _statuses(space)["main"]["state"]
    )
    word = "directory" if what == "directory" else "regular file"
    space.wait(lambda: space.logs("walker", "-c", "main") == f"{word}\n")


def _statuses(space: Space) -> dict[str, Obj]:
    return {each["name"]: each for each in space.get("v1/Pod", "walker")["status"]["containerStatuses"]}


def test_a_container_restarts_after_its_config_map_has_changed(space: Space):
    """The old file behind the part is gone by then; the new one is mounted."""
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "source"}, "data": {"key": "old"}}
    space.create(made)
    script = "cat /v; trap 'exit 1' TERM; sleep 3600 & wait"
    main = container("main", script, mount("key"))
    whole = container("whole", "sleep 3600", {"name": "v", "mountPath": "/whole"})
    space.run(walker({"configMap": {"name": "source"}}, main, whole, restartPolicy="OnFailure"))
    assert space.exec("walker", "cat", "/v", container="main") == "old"
    space.patch("v1/ConfigMap", "source", {"data": {"key": "modified"}})
    space.wait(lambda: space.exec("walker", "cat", "/whole/key", container="whole") == "modified")
    assert space.exec("walker", "cat", "/v", container="main") == "old", "parts do not follow"
    space.try_kubectl("exec", "walker", "-c", "main", "--", "kill", "-TERM", "1")
    space.wait(lambda: space.exec("walker", "cat", "/v", container="main") == "modified")


@every_kind
def test_a_part_that_is_deleted_hinders_no_end(space: Space, source: Obj):
    space.run(
        walker(source, container("main", "sleep 3600", mount(SUB)), container("whole", "sleep 3600", mount()))
    )
    space.exec("walker", "rm", "-r", f"/v/{SUB}", container="whole")
    space.delete("v1/Pod", "walker")
    space.wait(lambda: space.gone("v1/Pod", "walker"))


@pytest.mark.parametrize("source", ["claim"], indirect=True)
def test_a_volume_mounted_read_only_shows_its_parts_and_takes_nothing(space: Space, source: Obj):
    space.finish(walker(source, container("main", "echo one > /v/f", mount(SUB))))
    space.delete("v1/Pod", "walker")
    space.wait(lambda: space.gone("v1/Pod", "walker"))
    only = {"persistentVolumeClaim": {**source["persistentVolumeClaim"], "readOnly": True}}
    script = "cat /v/f; (echo two > /v/f) 2>&1 || echo refused"
    said = space.output(walker(only, container("main", script, mount(SUB))))
    assert said.splitlines() == ["one", "sh: can't create /v/f: Read-only file system", "refused"]


NAMED = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


def test_a_part_may_be_named_by_the_environment(space: Space):
    """Two names in one expression; what the pod writes in it is below its own name."""
    main = container(
        "main", "echo mine > /v/f; cat /whole/logs/walker/f", mount(), {"name": "v", "mountPath": "/whole"}
    )
    main["volumeMounts"][0]["subPathExpr"] = "$(KIND)/$(POD_NAME)"
    main["env"] = [NAMED, {"name": "KIND", "value": "logs"}]
    assert space.output(walker({"emptyDir": {}}, main)) == "mine\n"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("..", "unable to provision SubPath `..`: must not contain '..'"),
        ("/tmp", "error SubPath `/tmp` must not be an absolute path"),
    ],
)
def test_an_environment_cannot_name_a_part_elsewhere(space: Space, value: str, why: str):
    main = container("main", "true", mount())
    main["volumeMounts"][0]["subPathExpr"] = "$(PLACE)"
    main["env"] = [{"name": "PLACE", "value": value}]
    space.create(walker({"emptyDir": {}}, main))
    space.wait(lambda: _statuses(space)["main"]["state"]["waiting"]["reason"] == "CreateContainerConfigError")
    assert _statuses(space)["main"]["state"]["waiting"]["message"] == why


def test_a_part_whose_name_is_mended_is_mounted(space: Space):
    """The annotation that it is named after comes later."""
    main = container("main", "sleep 3600", mount())
    main["volumeMounts"][0]["subPathExpr"] = "$(PLACE)/$(POD_NAME)"
    main["env"] = [
        NAMED,
        {"name": "PLACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['place']"}}},
    ]
    space.create(walker({"emptyDir": {}}, main))
    space.wait(lambda: _statuses(space)["main"]["state"]["waiting"]["reason"] == "CreateContainerConfigError")
    space.patch("v1/Pod", "walker", {"metadata": {"annotations": {"place": "mypath"}}})
    space.wait(lambda: "running" in _statuses(space)["main"]["state"], 90)
