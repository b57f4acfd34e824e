"""A pull as registries.yaml has it: by the names that mirrors know an image by first, then by its own; with one
credential after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from minikube.node.runtime.archive import full_name
from minikube.node.runtime.base import Auth, Image, ImagePullFailed, Runtime, RuntimeFault
from minikube.node.runtime.registries import Registries


class Pulled(msgspec.Struct, frozen=True):
    image: Image
    auth: Auth | None
    """What opened the door; None: it was not asked for, or is the node's own."""


async def pull(runtime: Runtime, registries: Registries, reference: str, auths: Sequence[Auth] = ()) -> Pulled:
    """`auths` are others' credentials, to be tried before the node's own. Raises RuntimeFault: of the last try."""
    failed: RuntimeFault = ImagePullFailed(f"{reference}: nowhere to pull from")
    for name, known_as, auth in _tries(registries, reference, auths):
        try:
            image = await runtime.pull_image(name, auth=auth, known_as=known_as)
        except RuntimeFault as error:
            failed = error
            continue
        return Pulled(image, auth if auth in auths else None)
    raise failed


def _tries(registries: Registries, reference: str, auths: Sequence[Auth]) -> Iterator[tuple[str, str, Auth | None]]:
    """What is asked for, under which name it is kept, with which credentials."""
    full = full_name(reference)
    for other in registries.rewritten(full):
        own = registries.auth(other)
        for auth in (own,) if own is not None else (*auths, None):
            yield other, full, auth
    own = registries.auth(full)
    for auth in (*auths, *((own,) if own is not None else ())) or (None,):
        yield reference, "", auth
