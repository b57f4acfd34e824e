"""storage/emptydir: a directory of the pod, on disk or in memory, for every user."""

from __future__ import annotations

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Space, pod, shell

pytestmark = pytest.mark.conformance

WRITES = """
umask 0
for mode in 644 666 777; do
  echo mount-tester new file > /test-volume/$mode
  chmod $mode /test-volume/$mode
  stat -c '%A %u' /test-volume/$mode
  cat /test-volume/$mode
done
"""


@pytest.mark.parametrize(
    ("user", "medium"),
    [
        pytest.param(
            0,
            "",
            marks=row(
                "EmptyDir volumes volume on default medium should have the correct mode",
                "EmptyDir volumes should support (root,0644,default)",
                "EmptyDir volumes should support (root,0666,default)",
                "EmptyDir volumes should support (root,0777,default)",
            ),
            id="root-default",
        ),
        pytest.param(
            0,
            "Memory",
            marks=row(
                "EmptyDir volumes volume on tmpfs should have the correct mode",
                "EmptyDir volumes should support (root,0644,tmpfs)",
                "EmptyDir volumes should support (root,0666,tmpfs)",
                "EmptyDir volumes should support (root,0777,tmpfs)",
            ),
            id="root-tmpfs",
        ),
        pytest.param(
            1001,
            "",
            marks=row(
                "EmptyDir volumes should support (non-root,0644,default)",
                "EmptyDir volumes should support (non-root,0666,default)",
                "EmptyDir volumes should support (non-root,0777,default)",
            ),
            id="non-root-default",
        ),
        pytest.param(
            1001,
            "Memory",
            marks=row(
                "EmptyDir volumes should support (non-root,0644,tmpfs)",
                "EmptyDir volumes should support (non-root,0666,tmpfs)",
                "EmptyDir volumes should support (non-root,0777,tmpfs)",
            ),
            id="non-root-tmpfs",
        ),
    ],
)
def test_it_is_everybodys_and_keeps_modes(space: Space, user: int, medium: str):
    script = f"stat -c '%A' /test-volume; grep -c ' /test-volume tmpfs ' /proc/mounts; {WRITES}"
    volume = {"name": "v", "emptyDir": {"medium": medium} if medium else {}}
    made = pod("pod", *shell(script), volumes=[volume], securityContext={"runAsUser": user})
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/test-volume"}]
    said = space.output(made).splitlines()
    assert said[:2] == ["drwxrwxrwx", "1" if medium else "0"]
    assert said[2:] == [
        line
        for mode in ("-rw-r--r--", "-rw-rw-rw-", "-rwxrwxrwx")
        for line in (f"{mode} {user}", "mount-tester new file")
    ]


@row("EmptyDir volumes pod should support shared volumes between containers")
def test_containers_share_it(space: Space):
    mounts = [{"name": "shared", "mountPath": "/usr/share/volumeshare"}]
    writes = "echo Hello from the busy-box sub-container > /usr/share/volumeshare/shareddata.txt; sleep 3600"
    made = pod("pod", volumes=[{"name": "shared", "emptyDir": {}}])
    main = made["spec"]["containers"][0] | {"volumeMounts": mounts}
    made["spec"]["containers"] = [main, {**main, "name": "sub", "command": list(shell(writes))}]
    space.run(made)
    read = ("cat", "/usr/share/volumeshare/shareddata.txt")
    space.wait(lambda: space.exec("pod", *read, container="main") == "Hello from the busy-box sub-container\n")


@pytest.mark.parametrize("medium", ["", "Memory"])
def test_with_a_group_new_files_are_the_groups(space: Space, medium: str):
    """Upstream's [Feature:FSGroup] family: files made in it belong to the group, whoever makes them."""
    script = "stat -c '%A %g' /v; id -G; echo new > /v/file; stat -c '%A %u:%g' /v/file; mkdir /v/d; stat -c '%A %g' /v/d"
    volume = {"name": "v", "emptyDir": {"medium": medium}}
    security = {"runAsUser": 1001, "fsGroup": 123}
    made = pod("pod", *shell(script), volumes=[volume], securityContext=security)
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    said = space.output(made).splitlines()
    assert said == ["drwxrwsrwx 123", "0 123", "-rw-r--r-- 1001:123", "drwxr-sr-x 123"]


def test_memory_grows_to_its_limit_and_no_further(space: Space):
    volume = {"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}
    script = "df -k /v | tail -1 | awk '{print $2}'; dd if=/dev/zero of=/v/file bs=1M count=9; wc -c < /v/file"
    made = pod("pod", *shell(script), volumes=[volume])
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    said = space.output(made).splitlines()
    assert said[0] == "8192"
    assert any("No space left on device" in line for line in said)
    assert said[-1] == str(8 << 20)
