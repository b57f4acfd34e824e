"""Who may use the images that are here. What this node pulled with a pod's credentials is for pods that have them,
too; others have to ask the registry first. Rules: KEP-2535, pkg/kubelet/images/pullmanager.

An image that nobody here pulled was put here by the administrator, for everybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from minikube.kit.files import write_private
from minikube.node.runtime.archive import full_name
from minikube.node.runtime.base import Auth
from minikube.settings import Settings, SettingsError

NEVER, PRELOADED, ALWAYS = "NeverVerify", "NeverVerifyPreloadedImages", "AlwaysVerify"
POLICIES = (NEVER, PRELOADED, ALWAYS)


class Access(msgspec.Struct):
    """Of images of one repository with one id."""

    everybody: bool = False
    credentials: list[str] = []
    """Their digests."""


class Known(msgspec.Struct):
    images: dict[str, dict[str, Access]] = {}
    """Id -> repository -> who."""
    pulling: list[str] = []
    """Names; what came of these pulls is not known."""


class PullRecords:
    """Kept in the agent's directory. Raises SettingsError when made; all calls block (briefly)."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.agent_dir / "pulled-images.json"
        self._policy = settings.image_pull_credentials_verification_policy
        if self._policy not in POLICIES:
            known = ", ".join(POLICIES)
            raise SettingsError(f"setting image_pull_credentials_verification_policy: one of {known} is expected")
        self._known = _read(self._path)

    def for_everybody(self, reference: str, image: str) -> bool:
        """Whether any pod may use this image (its id) by this name."""
        if self._policy == NEVER:
            return True
        access = self._access(reference, image)
        if access is not None:
            return access.everybody
        pulled = image in self._known.images or reference in self._known.pulling
        return self._policy == PRELOADED and not pulled

    def opens(self, reference: str, image: str, auths: Iterable[Auth]) -> bool:
        """Whether it was pulled with one of these credentials."""
        access = self._access(reference, image)
        return access is not None and any(_digest(auth) in access.credentials for auth in auths)

    def begin(self, reference: str) -> None:
        if reference not in self._known.pulling:
            self._known.pulling.append(reference)
            self._write()

    def failed(self, reference: str) -> None:
        if reference in self._known.pulling:
            self._known.pulling.remove(reference)
            self._write()

    def pulled(self, reference: str, image: str, auth: Auth | None) -> None:
        """`auth` None: without a pod's credentials."""
        access = self._known.images.setdefault(image, {}).setdefault(_repository(reference), Access())
        if auth is None:
            access.everybody = True
        elif (digest := _digest(auth)) not in access.credentials:
            access.credentials.append(digest)
        if reference in self._known.pulling:
            self._known.pulling.remove(reference)
        self._write()

    def forget(self, images: Iterable[str]) -> None:
        """They are not here any more."""
        gone = [image for image in images if self._known.images.pop(image, None) is not None]
        if gone:
            self._write()

    def _access(self, reference: str, image: str) -> Access | None:
        return self._known.images.get(image, {}).get(_repository(reference))

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_private(self._path, msgspec.json.encode(self._known))


def _read(path: Path) -> Known:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Known)
    except (OSError, msgspec.MsgspecError):
        return Known()


def _repository(reference: str) -> str:
    plain = full_name(reference).partition("@")[0]
    return plain.rpartition(":")[0] if ":" in plain.rpartition("/")[2] else plain


def _digest(auth: Auth) -> str:
    return hashlib.sha256(msgspec.json.encode(auth)).hexdigest()
