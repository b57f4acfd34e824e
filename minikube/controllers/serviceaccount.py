"""Every namespace has a ServiceAccount `default` and a ConfigMap kube-root-ca.crt."""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import ConfigMap, Namespace, ServiceAccount
from minikube.api.meta import Key, ObjectMeta
from minikube.controllers.base import After, Context, Watch, itself
from minikube.errors import AlreadyExists

ROOT_CA = "kube-root-ca.crt"


class ServiceAccountController:
    name: ClassVar[str] = "service-account-controller"
    workers: ClassVar[int] = 1
    watches = (
        itself(Namespace),
        Watch(ServiceAccount, lambda obj: (Key("", obj.metadata.namespace),)),
        Watch(ConfigMap, lambda obj: (Key("", obj.metadata.namespace),) if obj.metadata.name == ROOT_CA else ()),
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._namespaces = context.informers.of(Namespace).lister
        self._accounts = context.informers.of(ServiceAccount).lister
        self._maps = context.informers.of(ConfigMap).lister
        self._ca = context.settings.tls_dir / "server-ca.crt"

    async def reconcile(self, key: Key) -> After | None:
        namespace = self._namespaces.get(key.name)
        if namespace is None or namespace.metadata.deletion_timestamp is not None:
            return None
        client = self._context.client
        if self._accounts.get("default", key.name) is None:
            try:
                await client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace=key.name)))
            except AlreadyExists:
                return After(1)
        data = {"ca.crt": self._ca.read_text()}
        found = self._maps.get(ROOT_CA, key.name)
        if found is None:
            meta = ObjectMeta(
                name=ROOT_CA,
                namespace=key.name,
                annotations={
                    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the "
                    "kube-apiserver "
                    "when using internal endpoints such as the internal service IP or kubernetes.default.svc."
                },
            )
            await client.create(ConfigMap(metadata=meta, data=data))
        elif dict(found.data) != data:
            foreign = dict.fromkeys(found.data.keys() - data.keys())
            await client.patch(ConfigMap, ROOT_CA, key.name, patch={"data": {**foreign, **data}})
        return None
