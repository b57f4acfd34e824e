"""Objects and JSON patches written in CEL as mutating policies write them, as plain maps.

    Object{spec: Object.spec{replicas: 3}}  ->  {"spec": {"replicas": 3}}

Variables have no types here, and so neither do the objects that expressions make: structure is checked when they
are merged. Rules: k8s.io/apiserver pkg/cel/mutation (Object, JSONPatch).
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"(?P<text>[rbRB]{0,2}(?:\"\"\"(?:\\.|.)*?\"\"\"|'''(?:\\.|.)*?'''|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')|//[^\n]*)"
    r"|(?P<message>(?<![\w.])(?:Object(?:\s*\.\s*\w+)*|JSONPatch)\s*\{)"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>,)|(?P<space>\s+)"
    r"|(?P<key>\??\s*(?:\w+|`[^`]*`)(?=\s*:))|(?P<other>\w+|.)",
    re.DOTALL,
)


def without_messages(text: str) -> str:
    """The same expression with a map for each message."""
    out: list[str] = []
    inside: list[bool] = []
    """For each open bracket: whether it is a message's."""
    expected = False
    """Whether the next token may be the name of a message's field."""
    for token in _TOKEN.finditer(text):
        kind, said = token.lastgroup, token[0]
        if kind == "message":
            inside.append(True)
            said = "{"
        elif kind == "open":
            inside.append(False)
        elif kind == "close" and inside:
            inside.pop()
        elif kind == "key" and expected:
            optional, name = ("?", said[1:]) if said[0] == "?" else ("", said)
            said = f'{optional}"{name.strip().strip("`")}"'
        out.append(said)
        if kind != "space":
            expected = bool(inside) and inside[-1] and kind in ("message", "comma")
    return "".join(out)
