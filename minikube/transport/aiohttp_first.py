"""Imports aiohttp before anybody else does, without the certificates of all public authorities.

aiohttp makes a context of them at import (2 MB, 80 ms) for clients that bring none of their own; ours always do.
"""

from __future__ import annotations

import os

NOWHERE = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}

_before = {name: os.environ.get(name) for name in NOWHERE}
os.environ.update(NOWHERE)
try:
    import aiohttp as aiohttp
finally:
    for _name, _value in _before.items():
        if _value is None:
            del os.environ[_name]
        else:
            os.environ[_name] = _value
