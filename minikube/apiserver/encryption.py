"""/minikube/v1/secrets-encryption: how secrets are stored (GET), and what is to become of that (POST)."""

from __future__ import annotations

import msgspec
from aiohttp import web

from minikube.apiserver.negotiation import JSON
from minikube.apiserver.server import Document
from minikube.errors import BadRequest, Conflict, MethodNotAllowed
from minikube.store.encryption import Encryption, EncryptionError

ENCRYPTION = "/minikube/v1/secrets-encryption"


class Order(msgspec.Struct):
    """The body of a POST."""

    action: str
    """enable, rotate or disable."""


def encryption_document(encryption: Encryption) -> Document:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            carry_out(encryption, await request.read())
        elif request.method != "GET":
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        status = msgspec.json.encode(await encryption.status())
        return web.Response(body=status, headers={"Content-Type": JSON})

    return serve


def carry_out(encryption: Encryption, body: bytes) -> None:
    """Raises BadRequest, and Conflict for what cannot be done now."""
    try:
        action = msgspec.json.decode(body, type=Order).action
    except msgspec.DecodeError as error:
        raise BadRequest(f"an order is expected: {error}") from error
    actions = {"enable": encryption.enable, "rotate": encryption.rotate, "disable": encryption.disable}
    if action not in actions:
        raise BadRequest(f"the action is {', '.join(actions)}, not {action!r}")
    try:
        actions[action]()
    except EncryptionError as error:
        raise Conflict(str(error)) from error
