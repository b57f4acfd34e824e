"""A proxied page's own addresses, made to lead through the proxy again: pure.

Rules: k8s.io/apimachinery/pkg/util/proxy.Transport, so that a page's absolute paths work below `.../proxy`.
"""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser
from urllib.parse import urlsplit

_ATTRIBUTES = {
    "a": ("href",),
    "applet": ("codebase",),
    "area": ("href",),
    "audio": ("src",),
    "base": ("href",),
    "blockquote": ("cite",),
    "body": ("background",),
    "button": ("formaction",),
    "command": ("icon",),
    "del": ("cite",),
    "embed": ("src",),
    "form": ("action",),
    "frame": ("longdesc", "src"),
    "head": ("profile",),
    "html": ("manifest",),
    "iframe": ("longdesc", "src"),
    "img": ("longdesc", "src", "usemap"),
    "input": ("src", "usemap", "formaction"),
    "ins": ("cite",),
    "link": ("href",),
    "object": ("classid", "codebase", "data", "usemap"),
    "q": ("cite",),
    "script": ("src",),
    "source": ("src",),
    "video": ("poster", "src"),
}


def through(url: str, prefix: str, hosts: frozenset[str]) -> str:
    """`url` as it must be asked for below `prefix`; `hosts` are the backend's own and the client's name for us.
    Relative addresses and other hosts' stay as they are."""
    parts = urlsplit(url)
    if parts.netloc and parts.netloc not in hosts:
        return url
    if not parts.netloc and not parts.path.startswith("/"):
        return url
    path = parts.path if parts.path.startswith(prefix) else prefix + (parts.path or "/")
    return path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")


class _Page(HTMLParser):
    """Copies a page; only start tags with an address in them are written anew."""

    def __init__(self, prefix: str, hosts: frozenset[str]) -> None:
        super().__init__(convert_charrefs=False)
        self._prefix, self._hosts = prefix, hosts
        self.out: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raw = self.get_starttag_text() or ""
        wanted = _ATTRIBUTES.get(tag, ())
        new = [
            (name, through(value, self._prefix, self._hosts) if value and name in wanted else value)
            for name, value in attrs
        ]
        if new == attrs:
            self.out.append(raw)
            return
        shown = "".join(f" {name}" if value is None else f' {name}="{escape(value)}"' for name, value in new)
        self.out.append(f"<{tag}{shown}{'/' if raw.endswith('/>') else ''}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.out.append(data)

    def handle_entityref(self, name: str) -> None:
        self.out.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.out.append(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        self.out.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.out.append(f"<!{decl}>")

    def handle_pi(self, data: str) -> None:
        self.out.append(f"<?{data}>")

    def unknown_decl(self, data: str) -> None:
        self.out.append(f"<![{data}]>")


def rewritten(page: str, prefix: str, hosts: frozenset[str]) -> str:
    """The page with its addresses led through the proxy."""
    parser = _Page(prefix, hosts)
    parser.feed(page)
    parser.close()
    return "".join(parser.out)
