"""For whom a node may have a service account's token made: audiences that the pod's own volumes name, and those
that RBAC grants with the verb `request-serviceaccounts-token-audience`.

Rules and words: kubernetes.io/docs/reference/access-authn-authz/node#service-account-token-audience-restriction and
kubernetes plugin/pkg/admission/noderestriction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minikube.api.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod
from minikube.api.storage_v1 import CSIDriver
from minikube.auth.base import Action, Authorizer, User
from minikube.auth.pod_references import projected_sources, references
from minikube.client.base import Informers

VERB = "request-serviceaccounts-token-audience"


class TokenAudiences:
    def __init__(self, informers: Informers, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._drivers = informers.of(CSIDriver).lister
        self._claims = informers.of(PersistentVolumeClaim).lister
        self._volumes = informers.of(PersistentVolume).lister

    def problem(self, user: User, account: str, pod: Pod, audiences: Sequence[str]) -> str:
        """Why not; empty: it may. No audience is the API server, as in a volume that names none."""
        if len(audiences) > 1:
            return "node may only request 0 or 1 audiences"
        wanted = audiences[0] if audiences else ""
        if wanted in self._named(pod):
            return ""
        action = Action(VERB, "", "*", wanted, namespace=pod.metadata.namespace, name=account)
        if self._authorizer.authorize(user, action).allowed:
            return ""
        return (
            f'audience "{wanted}" not found in pod spec volume, '
            f"{user.name} is not authorized to request tokens for this audience"
        )

    def _named(self, pod: Pod) -> Iterator[str]:
        for source in projected_sources(pod):
            if source.service_account_token is not None:
                yield source.service_account_token.audience
        for name in self._drivers_of(pod):
            driver = self._drivers.get(name)
            for each in driver.spec.token_requests if driver is not None else ():
                yield each.audience

    def _drivers_of(self, pod: Pod) -> Iterator[str]:
        """CSI drivers of its volumes, named inline or by what its claims are bound to."""
        for volume in pod.spec.volumes:
            if volume.csi is not None:
                yield volume.csi.driver
        for plural, name in references(pod):
            claim = self._claims.get(name, pod.metadata.namespace) if plural == "persistentvolumeclaims" else None
            found = self._volumes.get(claim.spec.volume_name) if claim is not None else None
            if found is not None and found.spec.csi is not None:
                yield found.spec.csi.driver
