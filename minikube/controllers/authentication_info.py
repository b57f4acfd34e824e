"""kube-system/extension-apiserver-authentication: how an extension API server knows who calls it.

Rules: kubernetes pkg/controlplane/controller/clusterauthenticationtrust.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from minikube.api.core_v1 import ConfigMap, Namespace
from minikube.api.meta import Key, ObjectMeta
from minikube.auth.join_roles import CLIENT_CA
from minikube.controllers.base import After, Context, Watch
from minikube.pki.rotation import PROXY_CA
from minikube.pki.server import PROXY_NAME
from minikube.settings import Settings

NAMESPACE, NAME = "kube-system", CLIENT_CA
RECHECK_SECONDS = 60.0
"""How soon a CA that was exchanged on disk is published."""


class AuthenticationInfoController:
    name: ClassVar[str] = "cluster-authentication-info"
    workers: ClassVar[int] = 1
    watches = (
        Watch(Namespace, lambda obj: (Key("", NAMESPACE),) if obj.metadata.name == NAMESPACE else ()),
        Watch(ConfigMap, lambda obj: (Key("", NAMESPACE),) if obj.metadata.name == NAME else ()),
    )

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._settings = context.settings
        self._namespaces = context.informers.of(Namespace).lister
        self._maps = context.informers.of(ConfigMap).lister

    async def reconcile(self, key: Key) -> After | None:
        if self._namespaces.get(NAMESPACE) is None:
            return None
        wanted = published(self._settings)
        found = self._maps.get(NAME, NAMESPACE)
        if found is None:
            await self._client.create(ConfigMap(metadata=ObjectMeta(name=NAME, namespace=NAMESPACE), data=wanted))
        elif {name: found.data.get(name) for name in wanted} != wanted:
            changed = msgspec.structs.replace(found, data={**found.data, **wanted})
            await self._client.update(changed)
        return After(RECHECK_SECONDS)


def published(settings: Settings) -> Mapping[str, str]:
    """The CA of clients; and of front proxies (we are one, others may be configured), with the headers they use."""
    proxies, names = (settings.tls_dir / f"{PROXY_CA}.crt").read_text(), [PROXY_NAME]
    if settings.requestheader_client_ca_file:
        proxies += Path(settings.requestheader_client_ca_file).read_text()
        configured = list(settings.requestheader_allowed_names)
        names = [*names, *configured] if configured else []
    lists = {
        "requestheader-allowed-names": names,
        "requestheader-extra-headers-prefix": ["X-Remote-Extra-"],
        "requestheader-group-headers": ["X-Remote-Group"],
        "requestheader-uid-headers": ["X-Remote-Uid"],
        "requestheader-username-headers": ["X-Remote-User"],
    }
    return {
        "client-ca-file": (settings.tls_dir / "client-ca.crt").read_text(),
        "requestheader-client-ca-file": proxies,
        **{name: msgspec.json.encode(values).decode() for name, values in lists.items()},
    }
