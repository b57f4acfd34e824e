"""What others need to check our service account tokens: OpenID Connect discovery.

Rules: kubernetes pkg/serviceaccount/openidmetadata.go.
"""

from __future__ import annotations

from typing import Any

from minikube.pki.signing_keys import SigningKeys, jwks

CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
KEY_SET_TYPE = "application/jwk-set+json"


def openid_configuration(keys: SigningKeys, *, issuer: str, jwks_uri: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "jwks_uri": jwks_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted({one.algorithm for one in keys.verification}),
    }


def key_set(keys: SigningKeys) -> dict[str, Any]:
    return jwks(keys.verification)
