"""This machine's address where no route says which one the world sees: a lab's switch, a cable."""

from __future__ import annotations

import fcntl
import socket
import struct
from pathlib import Path

SYSTEM = Path("/sys/class/net")
SIOCGIFADDR = 0x8915


def wired_address(system: Path = SYSTEM) -> str:
    """The IPv4 address of the first network card that has one, or of what is built on cards (bridges, bonds,
    VLANs); "" without any. Bridges of containers are none."""
    for _, name in sorted(socket.if_nameindex()):
        if _on_hardware(system, name) and (found := _address(name)):
            return found
    return ""


def _on_hardware(system: Path, name: str) -> bool:
    directory = system / name
    if (directory / "device").exists():
        return True
    lower = (each.name.removeprefix("lower_") for each in directory.glob("lower_*"))
    return any(_on_hardware(system, each) for each in lower)


def _address(name: str) -> str:
    request = struct.pack("256s", name.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, SIOCGIFADDR, request)
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])
