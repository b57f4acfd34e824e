"""/debug/pprof/: what the process is doing, as text (behind --profiling).

`tasks` and `threads` are stacks of this moment; `profile` samples the main thread for some seconds and counts its
stacks in the collapsed form that flame graph tools read.
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
import traceback
from collections import Counter
from types import FrameType

from minikube.errors import BadRequest, NotFound

ROOT = "/debug/pprof"
INDEX = f"{ROOT}/tasks\n{ROOT}/threads\n{ROOT}/profile?seconds=30\n"
MAX_SECONDS = 300
INTERVAL = 0.005


async def debug(path: str, query: dict[str, str]) -> str:
    """The text at a path below ROOT. Raises NotFound or BadRequest."""
    match path.removeprefix(ROOT).strip("/"):
        case "":
            return INDEX
        case "tasks" | "goroutine":
            return _tasks()
        case "threads":
            return _threads()
        case "profile":
            return await asyncio.to_thread(_profile, _seconds(query))
    raise NotFound.path()


def _seconds(query: dict[str, str]) -> float:
    text = query.get("seconds", "30")
    if not text.isdigit() or not 0 < int(text) <= MAX_SECONDS:
        raise BadRequest(f"seconds must be a number from 1 to {MAX_SECONDS}")
    return int(text)


def _tasks() -> str:
    out = io.StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(file=out)
        out.write("\n")
    return out.getvalue()


def _threads() -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = [
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    ]
    return "\n".join(parts)


def _profile(seconds: float) -> str:
    main = threading.main_thread().ident
    counted: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        frame = sys._current_frames().get(main or 0)
        if frame is not None:
            counted[_folded(frame)] += 1
        time.sleep(INTERVAL)
    return "".join(f"{stack} {count}\n" for stack, count in counted.most_common())


def _folded(frame: FrameType | None) -> str:
    names = []
    while frame is not None:
        code = frame.f_code
        names.append(f"{code.co_filename.rpartition('/')[2]}:{code.co_name}")
        frame = frame.f_back
    return ";".join(reversed(names))
