"""Memory that was let go goes back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import sys

import pytest

from minikube.kit import memory

GLIBC = hasattr(ctypes.CDLL(None), "mallinfo2")
CODE = """
import asyncio
from minikube.kit import memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

class Ticks:
    async def sleep(self, seconds):
        await asyncio.sleep(0.01)

async def main():
    keeping = asyncio.create_task(memory.give_back(Ticks()))
    await asyncio.sleep(0.05)
    blocks = [b"x" * 20_000 for _ in range(5_000)]
    last = b"y" * 20_000
    full = resident()
    del blocks
    for _ in range(500):
        await asyncio.sleep(0.01)
        if resident() < full - 60_000_000:
            break
    print(full - resident() > 60_000_000, len(last))
    keeping.cancel()

asyncio.run(main())
"""


@pytest.mark.skipif(not GLIBC, reason="needs glibc")
def test_what_was_freed_goes_back() -> None:
    """In a process of its own; a block allocated last keeps the top of the heap from going back by itself."""
    told = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert told.stdout.split()[0] == "True", told.stdout


@pytest.mark.skipif(not GLIBC, reason="needs glibc")
async def test_unused_counts_what_was_freed() -> None:
    blocks = [b"x" * 20_000 for _ in range(2_000)]
    last = b"y" * 20_000
    before = await asyncio.to_thread(memory.unused)
    del blocks
    assert await asyncio.to_thread(memory.unused) > before + 30_000_000
    assert last
