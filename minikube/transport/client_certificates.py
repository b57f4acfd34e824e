"""Client certificates that authenticators judge, not TLS: whoever shows a strange one gets an answer, as upstream.

OpenSSL then still proves that a client has the key of what it shows. Python's ssl has no call for this
(https://github.com/python/cpython/issues/75425), so OpenSSL's own is made, in the library that ssl has loaded.
"""

from __future__ import annotations

import _ssl
import ctypes
import logging
import ssl
import sys
from functools import cache

log = logging.getLogger(__name__)

_Verify = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


_go_on = _Verify(lambda _verified, _chain: 1)
"""What OpenSSL asks at each certificate of a chain: whether the handshake goes on. It must outlive all contexts."""


def ask_for_any(context: ssl.SSLContext) -> None:
    """Ask clients for a certificate, take none or whichever they show.

    Where OpenSSL cannot be reached (another Python than CPython, a static build), certificates of CAs that
    `context` does not know end in the handshake, which is as safe and says less.
    """
    context.verify_mode = ssl.CERT_OPTIONAL
    openssl = _openssl()
    if openssl is not None:
        openssl.SSL_CTX_set_verify(_address(context), context.verify_mode, _go_on)


@cache
def _openssl() -> ctypes.CDLL | None:
    """The OpenSSL below `ssl`; None where it, or what it knows a context by, is not found."""
    if sys.implementation.name != "cpython":
        return None
    try:
        library = ctypes.CDLL(_ssl.__file__)
        library.SSL_CTX_set_verify.argtypes = [ctypes.c_void_p, ctypes.c_int, _Verify]
        library.SSL_CTX_set_verify.restype = None
        library.SSL_CTX_get_verify_mode.argtypes = [ctypes.c_void_p]
    except (AttributeError, OSError) as error:
        log.info("TLS judges client certificates itself: %s", error)
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for mode in (ssl.CERT_OPTIONAL, ssl.CERT_NONE):
        context.verify_mode = mode
        if library.SSL_CTX_get_verify_mode(_address(context)) != mode:
            log.warning("TLS judges client certificates itself: this Python keeps OpenSSL's contexts elsewhere")
            return None
    return library


def _address(context: ssl.SSLContext) -> int | None:
    """Of OpenSSL's context: the first field of Python's (`PySSLContext` in Modules/_ssl.c, 3.2 to 3.14)."""
    return ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
