"""node/containers, node/expansion: what runs when image and pod each have a command, and $(VARIABLES) in it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod, ready, shell

pytestmark = pytest.mark.conformance

WORK: list[Obj] = [{"name": "work", "emptyDir": {}}]
ANNOTATION: Obj = {
    "name": "ANNOTATION",
    "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations['mysubpath']"}},
}


def container(made: Obj, **fields: Any) -> Obj:
    """The pod with these fields on its container; None takes one away."""
    main = made["spec"]["containers"][0] | fields
    made["spec"]["containers"] = [{name: value for name, value in main.items() if value is not None}]
    return made


def env(**values: str) -> list[Obj]:
    return [{"name": name, "value": value} for name, value in values.items()]


@row("Containers should use the image defaults if command and args are blank")
def test_the_image_says_what_runs_when_the_pod_is_silent(space: Space):
    """busybox:test runs `sh`, which ends at once with nothing to read."""
    made = container(pod("pod"), command=None)
    status = space.finish(made)["status"]["containerStatuses"][0]
    assert status["state"]["terminated"]["exitCode"] == 0


@row(
    "Containers should be able to override the image's default command (container entrypoint)",
    "Containers should be able to override the image's default command and arguments",
)
def test_a_command_of_the_pod_replaces_that_of_the_image(space: Space):
    assert space.output(pod("pod", "echo", "override")) == "override\n"
    assert space.output(container(pod("both", "echo"), args=["override", "arguments"])) == "override arguments\n"


@row("Containers should be able to override the image's default arguments (container cmd)")
def test_arguments_of_the_pod_replace_those_of_the_image(space: Space):
    made = container(pod("pod"), command=None, args=["echo", "override", "arguments"])
    assert space.output(made) == "override arguments\n"


@row("Variable Expansion should allow composing env vars into new env vars")
def test_variables_are_made_of_variables(space: Space):
    made = container(
        pod("pod", "env"),
        env=env(FOO="foo-value", BAR="bar-value", FOOBAR="$(FOO);;$(BAR)", ESCAPED="$$(FOO)", LATER="$(NONE)"),
    )
    lines = space.output(made).splitlines()
    assert {"FOO=foo-value", "BAR=bar-value", "FOOBAR=foo-value;;bar-value"} <= set(lines)
    assert {"ESCAPED=$(FOO)", "LATER=$(NONE)"} <= set(lines)


@row(
    "Variable Expansion should allow substituting values in a container's command",
    "Variable Expansion should allow substituting values in a container's args",
)
def test_variables_in_command_and_arguments(space: Space):
    script = 'TEST_VAR=wrong echo "$(TEST_VAR)"'
    variables = env(TEST_VAR="test-value")
    assert space.output(container(pod("command", "sh", "-c", script), env=variables)) == "test-value\n"
    assert space.output(container(pod("args", "sh", "-c"), args=[script], env=variables)) == "test-value\n"


def subpath(path: str, *, also: str = "/volume_mount") -> list[Obj]:
    return [
        {"name": "work", "mountPath": "/subpath_mount", "subPathExpr": path},
        {"name": "work", "mountPath": also},
    ]


@row("Variable Expansion should allow substituting values in a volume subpath")
def test_variables_in_a_subpath(space: Space):
    made = pod("pod", *shell("test -d /volume_mount/foo; echo $?"), volumes=WORK)
    made = container(made, env=env(POD_NAME="foo"), volumeMounts=subpath("$(POD_NAME)"))
    assert space.output(made) == "0\n"


@row(
    "Variable Expansion should fail substituting values in a volume subpath with backticks",
    "Variable Expansion should fail substituting values in a volume subpath with absolute path",
)
@pytest.mark.parametrize("value", ["..", "/tmp"])
def test_a_subpath_that_leaves_the_volume_fails(space: Space, value: str):
    made = pod("pod", volumes=WORK)
    space.create(container(made, env=env(POD_NAME=value), volumeMounts=subpath("$(POD_NAME)")))
    space.wait(lambda: waiting(space, "pod") == "CreateContainerConfigError")
    space.delete("v1/Pod", "pod")
    space.wait(lambda: space.gone("v1/Pod", "pod"))


def waiting(space: Space, name: str) -> str:
    (status,) = space.get("v1/Pod", name)["status"].get("containerStatuses", ({},))
    return str(status.get("state", {}).get("waiting", {}).get("reason", ""))


@row(
    "Variable Expansion should verify that a failing subpath expansion can be modified during the lifecycle "
    "of a container"
)
def test_a_subpath_heals_when_the_annotation_comes(space: Space):
    made = container(
        pod("pod", volumes=WORK),
        env=[*env(POD_NAME="foo"), ANNOTATION],
        volumeMounts=subpath("$(ANNOTATION)/$(POD_NAME)"),
    )
    made["metadata"]["annotations"] = {"notmysubpath": "mypath"}
    space.create(made)
    space.wait(lambda: waiting(space, "pod") == "CreateContainerConfigError")
    found = space.get("v1/Pod", "pod")
    found["metadata"]["annotations"]["mysubpath"] = "mypath"
    space.update(found)
    space.wait(lambda: ready(space.get("v1/Pod", "pod")))
    space.delete("v1/Pod", "pod")
    space.wait(lambda: space.gone("v1/Pod", "pod"))


@row("Variable Expansion should succeed in writing subpaths in container")
def test_files_are_written_through_a_subpath_and_cleaned_up_without_it(space: Space):
    made = container(
        pod("pod", volumes=WORK),
        env=[*env(POD_NAME="foo"), ANNOTATION],
        volumeMounts=subpath("$(ANNOTATION)/$(POD_NAME)"),
    )
    made["metadata"]["annotations"] = {"mysubpath": "mypath"}
    space.run(made)
    space.exec("pod", "touch", "/volume_mount/mypath/foo/test.log")
    space.exec("pod", "test", "-f", "/subpath_mount/test.log")
    space.patch("v1/Pod", "pod", {"metadata": {"annotations": {"mysubpath": "mynewpath"}}})
    assert ready(space.get("v1/Pod", "pod"))
    space.delete("v1/Pod", "pod")
    space.wait(lambda: space.gone("v1/Pod", "pod"))
