"""ServiceAccount: every pod runs as an account that exists, with its token mounted unless somebody says no.

Rules: kubernetes plugin/pkg/admission/serviceaccount.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.api.core_v1 import ServiceAccount
from minikube.api.well_known import MIRROR_POD
from minikube.client.base import Lister
from minikube.errors import Forbidden

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
ENFORCE = "kubernetes.io/enforce-mountable-secrets"
VOLUME = "kube-api-access-"


class ServiceAccountAdmission:
    name: ClassVar[str] = "ServiceAccount"

    def __init__(self, accounts: Lister[ServiceAccount]) -> None:
        self._accounts = accounts

    async def admit(self, request: Attributes) -> None:
        pod = _new_pod(request)
        if pod is None:
            return
        if _is_mirror(pod):
            return
        spec: dict[str, Any] = pod.setdefault("spec", {})
        if not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = spec.get("serviceAccount") or "default"
        spec["serviceAccount"] = spec["serviceAccountName"]
        account = self._account(request, spec["serviceAccountName"])
        if _mounts_token(spec, account):
            _mount(spec)
        if not spec.get("imagePullSecrets") and account.image_pull_secrets:
            spec["imagePullSecrets"] = [{"name": one.name} for one in account.image_pull_secrets]

    async def validate(self, request: Attributes) -> None:
        pod = _new_pod(request)
        if pod is None:
            return
        spec = pod["spec"]
        if _is_mirror(pod):
            _check_mirror(request, spec)
            return
        account = self._account(request, spec.get("serviceAccountName") or "default")
        if account.metadata.annotations.get(ENFORCE) == "true":
            for why in _unnamed_secrets(spec, account):
                raise Forbidden.of("pods", "", request.name, why)

    def _account(self, request: Attributes, name: str) -> ServiceAccount:
        account = self._accounts.get(name, request.namespace)
        if account is None:
            missing = f'serviceaccount "{name}" not found'
            why = f"error looking up service account {request.namespace}/{name}: {missing}"
            raise Forbidden.of("pods", "", request.name, why)
        return account


def _new_pod(request: Attributes) -> dict[str, Any] | None:
    resource = request.resource
    if (resource.group, resource.plural, request.subresource) != ("", "pods", "") or request.operation != "CREATE":
        return None
    return request.object


def _is_mirror(pod: Mapping[str, Any]) -> bool:
    return MIRROR_POD in (pod["metadata"].get("annotations") or {})


def _check_mirror(request: Attributes, spec: Mapping[str, Any]) -> None:
    """A node's own pod borrows no identity."""
    if spec.get("serviceAccountName"):
        raise Forbidden.of("pods", "", request.name, "a mirror pod may not reference service accounts")
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                why = "a mirror pod may not use ServiceAccountToken volume projections"
                raise Forbidden.of("pods", "", request.name, why)


def _unnamed_secrets(spec: Mapping[str, Any], account: ServiceAccount) -> Iterator[str]:
    """What the pod takes from secrets that its account does not name."""
    known = {one.name for one in account.secrets}
    missing = f"is not allowed because service account {account.metadata.name} does not reference that"
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName")
        if secret and secret not in known:
            yield f'volume with secret.secretName="{secret}" {missing} secret'
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for variable in container.get("env") or ():
            secret = ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
            if secret and secret not in known:
                who = f"container {container.get('name')} with envVar {variable.get('name')}"
                yield f'{who} referencing secret.secretName="{secret}" {missing} secret'
    pulling = {one.name for one in account.image_pull_secrets}
    for one in spec.get("imagePullSecrets") or ():
        if one.get("name") not in pulling:
            yield f'imagePullSecrets[].name="{one.get("name")}" {missing} imagePullSecret'


def _mounts_token(spec: dict[str, Any], account: ServiceAccount) -> bool:
    asked = spec.get("automountServiceAccountToken")
    if asked is not None:
        return bool(asked)
    return account.automount_service_account_token is not False


def _mount(spec: dict[str, Any]) -> None:
    """The projected volume kube-api-access-xxxxx, into every container that has nothing at that path."""
    present = [volume["name"] for volume in spec.get("volumes") or () if volume["name"].startswith(VOLUME)]
    name = present[0] if present else VOLUME + "".join(secrets.choice(ALPHABET) for _ in range(5))
    mounted = False
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            mounts = container.get("volumeMounts") or []
            if any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
                continue
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
            mounted = True
    if not mounted or present:
        return
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    volume = {"name": name, "projected": {"defaultMode": 420, "sources": sources}}
    spec["volumes"] = [*(spec.get("volumes") or ()), volume]
