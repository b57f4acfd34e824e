"""What a URL asks for. Rules: k8s.io/apiserver/pkg/endpoints/request.RequestInfoFactory."""

from __future__ import annotations

import re

import msgspec

from minikube.auth.base import Action

_ONE_NAME = re.compile(r"metadata\.name==?([^,=!]+)")
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "HEAD": "get"}


class RequestInfo(msgspec.Struct, frozen=True):
    """`resource` empty: a non-resource request for `path`."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows a proxy subresource."""
    fields: str = ""
    """The field selector of a list or watch."""
    upgraded: bool = False
    """An API of somebody else that is to take over the connection."""

    def action(self) -> Action:
        """A field selector of one name counts as that name, so that rules with resourceNames fit."""
        if not self.resource:
            return Action(self.verb, path=self.path)
        only = _ONE_NAME.fullmatch(self.fields)
        return Action(
            verb=self.verb,
            group=self.group,
            version=self.version,
            resource=self.resource,
            subresource=self.subresource,
            namespace=self.namespace,
            name=only[1] if only is not None else self.name,
            fields=self.fields,
        )


def request_info(method: str, path: str, *, watch: bool = False, fields: str = "") -> RequestInfo:
    """Reads the path; `watch` and `fields` are the query's watch=true and fieldSelector."""
    verb = VERBS.get(method, method.lower())
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return RequestInfo(method.lower(), path)
    if parts[0] in ("watch", "proxy") and len(parts) > 1:
        watch = watch or parts[0] == "watch"
        parts = parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    resource = parts[0]
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 else ""
    rest = "/".join(parts[3:])
    if resource == "namespaces" and name:
        namespace = name
    if not name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    if watch and verb in ("get", "list"):
        verb = "watch"
    if name or verb not in ("list", "watch", "deletecollection"):
        fields = ""
    return RequestInfo(verb, path, group, version, resource, namespace, name, subresource, rest, fields)
