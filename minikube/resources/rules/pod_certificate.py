"""What requests for certificates of pods may say (ValidatePodCertificateRequestCreate and its updates).

Who signs them checks the request itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from minikube.api.certificates_v1 import (
    PodCertificateRequest,
    PodCertificateRequestSpec,
    PodCertificateRequestStatus,
)
from minikube.api.names import subdomain_problems
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.certificate import signer_problems
from minikube.resources.rules.conditions import conditions
from minikube.resources.rules.invalid import at, immutable, invalid, not_supported, required, too_long
from minikube.resources.rules.labelling import label_name

_ENDS = ("Denied", "Failed", "Issued")
_SHORTEST, _LONGEST_OF_KUBERNETES, _LONGEST = 3600, 24 * 3600, 91 * 24 * 3600
_LONGEST_UID = 128


class PodCertificateRequestRules(Strategy[PodCertificateRequest]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(self, new: PodCertificateRequest, old: PodCertificateRequest | None) -> Iterator[FieldError]:
        if old is not None:
            yield from immutable("spec", new.spec, old.spec)
            return
        spec = new.spec
        if not spec.signer_name:
            yield required("spec.signerName")
        for why in signer_problems(spec.signer_name) if spec.signer_name else ():
            yield invalid("spec.signerName", spec.signer_name, why)
        for name in spec.unverified_user_annotations:
            yield from label_name(name.lower(), "spec.unverifiedUserAnnotations")
        for field, name, uid in (
            ("pod", spec.pod_name, spec.pod_uid),
            ("serviceAccount", spec.service_account_name, spec.service_account_uid),
            ("node", spec.node_name, spec.node_uid),
        ):
            for why in subdomain_problems(name):
                yield invalid(f"spec.{field}Name", name, why)
            if not uid:
                yield invalid(f"spec.{field}UID", uid, "must not be empty")
            if len(uid.encode()) > _LONGEST_UID:
                yield too_long(f"spec.{field}UID", _LONGEST_UID)
        yield from _lifetime(spec)

    def validate_status(self, new: PodCertificateRequest, old: PodCertificateRequest) -> Iterator[FieldError]:
        wrong = [*_known_conditions(new.status), *conditions(new.status.conditions, "status.conditions")]
        yield from wrong
        if wrong:
            return
        was, now = _ends(old.status), _ends(new.status)
        if was:
            why = "immutable after PodCertificateRequest is issued, denied, or failed"
            if new.status != old.status:
                yield invalid("status", new.status, why)
        elif now and "Issued" not in now:
            why = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
            if replace(new.status, conditions=()) != PodCertificateRequestStatus():
                yield invalid("status", new.status, why)

    def fields(self, obj: Any) -> Mapping[str, str]:
        spec = obj.spec
        return {"spec.signerName": spec.signer_name, "spec.podName": spec.pod_name, "spec.nodeName": spec.node_name}


def _lifetime(spec: PodCertificateRequestSpec) -> Iterator[FieldError]:
    seconds, domain = spec.max_expiration_seconds, spec.signer_name.partition("/")[0]
    own = domain == "kubernetes.io" or domain.endswith(".kubernetes.io")
    longest = _LONGEST_OF_KUBERNETES if own else _LONGEST
    if seconds is not None and not _SHORTEST <= seconds <= longest:
        yield invalid("spec.maxExpirationSeconds", seconds, f"must be in the range [{_SHORTEST}, {longest}]")


def _ends(status: PodCertificateRequestStatus) -> frozenset[str]:
    return frozenset(one.type for one in status.conditions if one.type in _ENDS)


def _known_conditions(status: PodCertificateRequestStatus) -> Iterator[FieldError]:
    known = 0
    for index, one in enumerate(status.conditions):
        where = at("status.conditions", index)
        if one.type not in _ENDS:
            yield not_supported(f"{where}.type", one.type, _ENDS)
            continue
        known += 1
        if known > 1:
            why = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            yield invalid(f"{where}.type", one.type, why)
        if one.status != "True":
            yield not_supported(f"{where}.status", one.status, ("True",))
