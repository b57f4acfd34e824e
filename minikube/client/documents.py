"""JSON documents from the web, for the few things that are somebody else's: an OpenID issuer's keys."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

SECONDS = 10.0
LARGEST = 1 << 20


class DocumentError(Exception):
    """There is no such document; the message says why."""


class WebDocuments:
    """HTTPS only; `ca` is trusted instead of the system's authorities."""

    def __init__(self, ca: Path | None = None) -> None:
        self._context = ssl.create_default_context(cafile=str(ca) if ca is not None else None)

    async def fetch(self, url: str) -> Mapping[str, Any]:
        """Raises DocumentError."""
        if not url.startswith("https://"):
            raise DocumentError(f"{url!r} is not https")
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url, ssl=self._context, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise DocumentError(f"{url} answers {response.status}")
                body = await response.content.read(LARGEST)
            found = msgspec.json.decode(body, type=dict[str, Any])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise DocumentError(f"{url}: {error or 'no answer'}") from error
        except msgspec.DecodeError as error:
            raise DocumentError(f"{url} is not JSON: {error}") from error
        return found
