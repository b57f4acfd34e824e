"""What is told of a node: changes of its conditions, and processes that died because the machine had no memory."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from msgspec.structs import replace

from minikube.api.core_v1 import Node, NodeCondition, NodeStatus, NodeSystemInfo
from minikube.api.meta import ObjectMeta
from minikube.node.node_events import Told, changes, follow_kernel, out_of_memory, scheduling

GLOBAL = (
    "6,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    "task_memcg=/kubepods/pod1/c,task=stress, ng,pid=4711,uid=0\n"
)
LIMIT = (
    "6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c,mems_allowed=0,oom_memcg=/kubepods/p/c,"
    "task_memcg=/kubepods/p/c,task=dd,pid=9,uid=0\n"
)


def node(**conditions: str) -> Node:
    found = tuple(NodeCondition(type=type, status=status) for type, status in conditions.items())
    return Node(metadata=ObjectMeta(name="n"), status=NodeStatus(conditions=found))


def test_a_condition_that_changes_is_told_by_its_name() -> None:
    before, after = node(MemoryPressure="False", Ready="True"), node(MemoryPressure="True", Ready="False")
    assert list(changes(before, after)) == [
        Told("NodeHasInsufficientMemory", "Node n status is now: NodeHasInsufficientMemory"),
        Told("NodeNotReady", "Node n status is now: NodeNotReady"),
    ]
    assert not list(changes(after, after))
    assert [each.reason for each in changes(node(), node(DiskPressure="False"))] == ["NodeHasNoDiskPressure"]


def test_a_machine_that_was_booted_again_is_told_of() -> None:
    def booted(id: str) -> Node:
        found = node()
        info = NodeSystemInfo(boot_id=id)
        return replace(found, status=replace(found.status, node_info=info))

    assert list(changes(booted("a"), booted("b"))) == [
        Told("Rebooted", "Node n has been rebooted, boot id: b", warning=True)
    ]
    assert not list(changes(booted("a"), booted("a")))
    assert not list(changes(node(), booted("a")))


def test_a_cordon_is_told_of_once() -> None:
    assert scheduling("n", was=False, cordoned=False) is None
    told = scheduling("n", was=False, cordoned=True)
    assert told == Told("NodeNotSchedulable", "Node n status is now: NodeNotSchedulable")


def test_only_processes_that_the_whole_machine_had_no_memory_for_are_told_of() -> None:
    text = "System OOM encountered, victim process: stress, ng, pid: 4711"
    assert out_of_memory(GLOBAL) == Told("SystemOOM", text, warning=True)
    assert out_of_memory(LIMIT) is None
    assert out_of_memory("6,1,2,-;usb 1-1: new device\n") is None


async def test_records_are_followed_as_the_kernel_writes_them(tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    os.mkfifo(log)
    writer = os.open(log, os.O_RDWR)
    try:
        records = follow_kernel(log)
        first = asyncio.ensure_future(anext(records))
        await asyncio.sleep(0)
        os.write(writer, GLOBAL.encode())
        async with asyncio.timeout(5):
            assert await first == GLOBAL
        await records.aclose()
    finally:
        os.close(writer)
