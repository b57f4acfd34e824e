"""JSON patches (library.JSONPatch): what makes a text one step of a path."""

from __future__ import annotations

from minikube.schema.cel_library.values import STRING, Library

FUNCTIONS: Library = {
    "jsonpatch.escapeKey": ((STRING, (STRING,), lambda key: key.replace("~", "~0").replace("/", "~1")),),
}
MEMBERS: Library = {}
