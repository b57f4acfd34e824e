"""What signing requests may say (pkg/apis/certificates/validation)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from minikube.api import time
from minikube.api.authentication_v1 import UserInfo
from minikube.api.certificates_v1 import CertificateSigningRequest, ClusterTrustBundle
from minikube.api.core_v1 import PodCertificateProjection
from minikube.api.meta import to_dict
from minikube.api.names import subdomain_problems
from minikube.errors import FieldError
from minikube.pki.pod_keys import KEY_TYPES
from minikube.resources.base import Obj, ReadOnlyObj, Strategy
from minikube.resources.rules.invalid import at, duplicate, immutable, invalid, not_supported, required
from minikube.resources.rules.labelling import file_below

USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing",
    "s/mime", "server auth", "signing", "timestamping",
)  # fmt: skip
_SHORTEST = 600
_REQUESTER = ("username", "uid", "groups", "extra")
_DECISIONS = ("Approved", "Denied")
LEGACY = "kubernetes.io/legacy-unknown"


def signer_problems(name: str) -> Iterator[str]:
    """A domain, a slash and a path."""
    domain, slash, path = name.partition("/")
    if not slash or not path:
        yield 'must be a fully qualified domain and path of the form "example.com/signer-name"'
        return
    yield from subdomain_problems(domain)
    if "." not in domain:
        yield "should be a domain with at least two segments separated by dots"


LIFE = range(3600, 91 * 86400 + 1)
"""Seconds that a pod may ask a certificate to live."""


def certificate_seconds(seconds: int | None, path: str) -> Iterator[FieldError]:
    where = f"{path}.maxExpirationSeconds"
    if seconds is not None and seconds < LIFE.start:
        yield invalid(where, seconds, f"if provided, maxExpirationSeconds must be >= {LIFE.start}")
    if seconds is not None and seconds > LIFE[-1]:
        yield invalid(where, seconds, f"if provided, maxExpirationSeconds must be <= {LIFE[-1]}")


def written(source: PodCertificateProjection) -> dict[str, str]:
    """The files that it names, by field."""
    named = {
        "credentialBundlePath": source.credential_bundle_path,
        "keyPath": source.key_path,
        "certificateChainPath": source.certificate_chain_path,
    }
    return {field: path for field, path in named.items() if path}


def pod_certificate(source: PodCertificateProjection, path: str) -> Iterator[FieldError]:
    if not source.signer_name:
        yield required(f"{path}.signerName")
    else:
        for why in signer_problems(source.signer_name):
            yield invalid(f"{path}.signerName", source.signer_name, why)
    if source.key_type not in KEY_TYPES:
        yield not_supported(f"{path}.keyType", source.key_type, sorted(KEY_TYPES))
    yield from certificate_seconds(source.max_expiration_seconds, path)
    targets = written(source)
    if not targets:
        why = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        yield required(path, why)
    for field, target in targets.items():
        yield from file_below(target, f"{path}.{field}")


class SigningRequestRules(Strategy[CertificateSigningRequest]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def requested_by(self, new: Obj, user: UserInfo) -> None:
        spec = {key: value for key, value in (new.get("spec") or {}).items() if key not in _REQUESTER}
        new["spec"] = spec | to_dict(user)

    def prepare_update(self, new: Obj, old: ReadOnlyObj) -> None:
        new["spec"] = old["spec"]

    def prepare_status(self, new: Obj, old: ReadOnlyObj) -> None:
        conditions = (new.get("status") or {}).get("conditions") or []
        _keep_decisions(conditions, old)
        _stamp(conditions, old, time.text(datetime.now(UTC)))

    def prepare_subresource(self, new: Obj, old: ReadOnlyObj, subresource: str) -> None:
        new["spec"] = old["spec"]
        conditions = (new.get("status") or {}).get("conditions") or []
        new["status"] = {**(old.get("status") or {}), "conditions": conditions}
        _stamp(conditions, old, time.text(datetime.now(UTC)))

    def validate(
        self, new: CertificateSigningRequest, old: CertificateSigningRequest | None
    ) -> Iterator[FieldError]:
        if old is not None:
            return
        spec = new.spec
        if why := _request_problem(spec.request):
            yield invalid("spec.request", base64_text(spec.request), why)
        if not spec.usages:
            yield required("spec.usages")
        for index, usage in enumerate(spec.usages):
            if usage not in USAGES:
                yield not_supported(at("spec.usages", index), usage, USAGES)
            elif usage in spec.usages[:index]:
                yield duplicate(at("spec.usages", index), usage)
        if spec.signer_name == LEGACY:
            why = "the legacy signerName is not allowed via this API version"
            yield invalid("spec.signerName", spec.signer_name, why)
        elif not spec.signer_name:
            yield required("spec.signerName")
        else:
            for why in signer_problems(spec.signer_name):
                yield invalid("spec.signerName", spec.signer_name, why)
        if spec.expiration_seconds is not None and spec.expiration_seconds < _SHORTEST:
            why = f"may not specify a duration less than {_SHORTEST} seconds (10 minutes)"
            yield invalid("spec.expirationSeconds", spec.expiration_seconds, why)

    def validate_status(
        self, new: CertificateSigningRequest, old: CertificateSigningRequest
    ) -> Iterator[FieldError]:
        yield from _conditions(new)
        if old.status.certificate and new.status.certificate != old.status.certificate:
            yield invalid("status.certificate", new.status.certificate, "field is immutable")

    def validate_subresource(
        self, new: CertificateSigningRequest, old: CertificateSigningRequest, subresource: str
    ) -> Iterator[FieldError]:
        yield from _conditions(new)
        now = {one.type for one in new.status.conditions}
        for type in ("Approved", "Denied", "Failed"):
            if any(one.type == type for one in old.status.conditions) and type not in now:
                yield FieldError(
                    "status.conditions",
                    "FieldValueForbidden",
                    f'Forbidden: updates may not remove a condition of type "{type}"',
                )

    def fields(self, obj: Any) -> Mapping[str, str]:
        return {"spec.signerName": obj.spec.signer_name}


def _keep_decisions(conditions: list[Obj], old: ReadOnlyObj) -> None:
    """A status update cannot change who approved or denied, or why."""
    before = {one.get("type"): one for one in (old.get("status") or {}).get("conditions") or ()}
    for index, one in enumerate(conditions):
        if one.get("type") in _DECISIONS and one["type"] in before:
            conditions[index] = dict(before[one["type"]])


def _stamp(conditions: list[Obj], old: ReadOnlyObj, now: str) -> None:
    """Times that the client left out."""
    before = {one.get("type"): one for one in (old.get("status") or {}).get("conditions") or ()}
    for one in conditions:
        was = before.get(one.get("type"), {})
        if not one.get("lastUpdateTime"):
            one["lastUpdateTime"] = now
        if not one.get("lastTransitionTime"):
            same = was.get("status") == one.get("status") and was.get("lastTransitionTime")
            one["lastTransitionTime"] = was["lastTransitionTime"] if same else now


def base64_text(text: str) -> str:
    return text if len(text) < 100 else text[:97] + "..."


def _request_problem(encoded: str) -> str:
    try:
        x509.load_pem_x509_csr(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):
        return "PEM block type must be CERTIFICATE REQUEST"
    return ""


def _conditions(request: CertificateSigningRequest) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, one in enumerate(request.status.conditions):
        where = at("status.conditions", index)
        if not one.type:
            yield required(f"{where}.type")
        if one.type in ("Approved", "Denied", "Failed") and one.status != "True":
            yield not_supported(f"{where}.status", one.status, ("True",))
        if one.type in seen:
            yield duplicate(f"{where}.type", one.type)
        seen.add(one.type)
    if {"Approved", "Denied"} <= seen:
        yield invalid("status.conditions", "Denied", "Approved and Denied conditions are mutually exclusive")


class TrustBundleRules(Strategy[ClusterTrustBundle]):
    def name_problems(self, name: str) -> Iterator[str]:
        for part in name.split(":"):
            yield from subdomain_problems(part)

    def validate(self, new: ClusterTrustBundle, old: ClusterTrustBundle | None) -> Iterator[FieldError]:
        signer = new.spec.signer_name
        prefix = signer.replace("/", ":") + ":"
        if signer and not new.metadata.name.startswith(prefix):
            why = f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"
            yield invalid("metadata.name", new.metadata.name, why)
        elif not signer and ":" in new.metadata.name:
            why = 'ClusterTrustBundle without signer name must not have ":" in its name'
            yield invalid("metadata.name", new.metadata.name, why)
        if "-----BEGIN CERTIFICATE-----" not in new.spec.trust_bundle:
            yield invalid("spec.trustBundle", "<value omitted>", "at least one trust anchor must be provided")
        if old is not None:
            yield from immutable("spec.signerName", signer, old.spec.signer_name)

    def fields(self, obj: Any) -> Mapping[str, str]:
        return {"spec.signerName": obj.spec.signer_name}
