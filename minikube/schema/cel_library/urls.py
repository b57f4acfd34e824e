"""URLs (library.URLs)."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, urlsplit

from minikube.schema.cel_library.values import BOOL, MAP, STRING, Library, Opaque, accepts, text_of

URL = "kubernetes.URL"


def url(text: str) -> Opaque:
    """Raises ValueError: neither absolute nor an absolute path."""
    parts = urlsplit(text)
    if not (parts.scheme and (parts.netloc or parts.path)) and not text.startswith("/"):
        raise ValueError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return {URL: text}


def _parts(value: Opaque) -> SplitResult:
    return urlsplit(text_of(value, URL))


FUNCTIONS: Library = {
    "url": ((MAP, (STRING,), url),),
    "isURL": ((BOOL, (STRING,), accepts(url)),),
}
MEMBERS: Library = {
    "getScheme": ((STRING, (MAP,), lambda url: _parts(url).scheme),),
    "getHost": ((STRING, (MAP,), lambda url: _parts(url).netloc.rpartition("@")[2]),),
    "getHostname": ((STRING, (MAP,), lambda url: _parts(url).hostname or ""),),
    "getPort": ((STRING, (MAP,), lambda url: str(_parts(url).port or "")),),
    "getEscapedPath": ((STRING, (MAP,), lambda url: _parts(url).path),),
    "getQuery": ((MAP, (MAP,), lambda url: parse_qs(_parts(url).query, keep_blank_values=True)),),
}
