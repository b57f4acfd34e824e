"""One kept libnftables context: text in, one kernel transaction each."""

from __future__ import annotations

import asyncio
import ctypes

TABLE = "minikube"


class NftError(Exception):
    """The kernel or the parser refused a transaction; nothing of it took effect."""


class Nft:
    """Sends transactions to the network namespace of the thread that made it."""

    def __init__(self) -> None:
        library = ctypes.CDLL("libnftables.so.1")
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        self._library = library
        self._context = ctypes.c_void_p(library.nft_ctx_new(0))
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_buffer_output(self._context)
        self._lock = asyncio.Lock()

    async def run(self, text: str) -> None:
        """Raises NftError."""
        async with self._lock:
            await asyncio.to_thread(self.run_now, text)

    def run_now(self, text: str) -> None:
        if self._library.nft_run_cmd_from_buffer(self._context, text.encode()):
            message = self._library.nft_ctx_get_error_buffer(self._context) or b""
            raise NftError(message.decode(errors="replace")[:500])


async def whole_ruleset() -> str:
    """Everybody's rules, as nft prints them; by a process of its own, since there may be many. Raises NftError."""
    try:
        process = await asyncio.create_subprocess_exec(
            "nft", "list", "ruleset", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError as error:
        raise NftError("nft is not installed: apt-get install nftables") from error
    output, complaint = await process.communicate()
    if process.returncode:
        raise NftError(complaint.decode(errors="replace")[:500])
    return output.decode(errors="replace")
