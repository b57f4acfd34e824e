"""The two documents with which others check our service account tokens."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

from minikube.apiserver.negotiation import JSON
from minikube.apiserver.server import Document
from minikube.auth.discovery import CONFIGURATION, KEY_SET_TYPE, KEYS, key_set, openid_configuration
from minikube.pki.signing_keys import SigningKeys

FRESH = {"Cache-Control": "public, max-age=3600"}


def openid_documents(keys: SigningKeys, issuer: str, jwks_uri: str) -> Mapping[str, Document]:
    async def configuration(_: web.BaseRequest) -> web.StreamResponse:
        found = openid_configuration(keys, issuer=issuer, jwks_uri=jwks_uri)
        return web.Response(body=msgspec.json.encode(found), headers={"Content-Type": JSON, **FRESH})

    async def jwks(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(
            body=msgspec.json.encode(key_set(keys)), headers={"Content-Type": KEY_SET_TYPE, **FRESH}
        )

    return {CONFIGURATION: configuration, KEYS: jwks}
