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
        library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
        self._library = library
        self._context = ctypes.c_void_p(library.nft_ctx_new(0))
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_buffer_output(self._context)
        self._lock = asyncio.Lock()

    async def run(self, text: str) -> None:
        """Raises NftError."""
        async with self._lock:
            await asyncio.to_thread(self.run_now, text)

    def query(self, text: str) -> str:
        """What a `list` command prints. Blocking. Raises NftError."""
        self.run_now(text)
        return (self._library.nft_ctx_get_output_buffer(self._context) or b"").decode(errors="replace")

    def run_now(self, text: str) -> None:
        if self._library.nft_run_cmd_from_buffer(self._context, text.encode()):
            message = self._library.nft_ctx_get_error_buffer(self._context) or b""
            raise NftError(message.decode(errors="replace")[:500])
