"""The sandbox's first process as a static ELF of a few hundred bytes: ignore SIGCHLD, then sleep for ever."""

from __future__ import annotations

import struct

PAUSE_IMAGE = "docker.io/minikube/pause:1"
_X86_64 = bytes.fromhex("6a006a006a006a014889e66a115f31d26a08415ab80d0000000f05b8220000000f05ebf7")


def _mov(register: int, value: int) -> int:
    return 0xD2800000 | value << 5 | register


_SVC = 0xD4000001
_ARM64 = struct.pack(
    "<17I",
    _mov(9, 1),
    0xA9BE7FE9,  # stp x9, xzr, [sp, #-32]!
    0xA9017FFF,  # stp xzr, xzr, [sp, #16]
    _mov(0, 17),
    0x910003E1,  # mov x1, sp
    _mov(2, 0),
    _mov(3, 8),
    _mov(8, 134),  # rt_sigaction(SIGCHLD, SIG_IGN)
    _SVC,
    *(_mov(register, 0) for register in range(4)),
    _mov(8, 73),  # ppoll(NULL, 0, NULL, NULL)
    _SVC,
    0x14000000 | (-6 & 0x3FFFFFF),
    0,
)
_MACHINES = {"x86_64": (62, _X86_64, "amd64"), "aarch64": (183, _ARM64, "arm64")}


def architecture(machine: str) -> str:
    """The image architecture of what `uname -m` says."""
    return _MACHINES[machine][2]


def elf(machine: str) -> bytes:
    """The executable. Raises KeyError for other machines than x86_64 and aarch64."""
    number, code, _ = _MACHINES[machine]
    base = 0x400000
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, number, 1, base + 120, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    size = 120 + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + code
