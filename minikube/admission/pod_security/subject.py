"""A pod as the Pod Security Standards look at it, and the words in which they find fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from minikube.api.core_v1 import Container, EphemeralContainer, Pod, PodSpec, SecurityContext

AnyContainer = Container | EphemeralContainer
CONFINED = ("RuntimeDefault", "Localhost")
"""Profile types of seccomp and AppArmor that keep a container in bounds."""


class Subject(msgspec.Struct, frozen=True):
    """A pod as a version of the standards looks at it."""

    pod: Pod
    minor: int

    @property
    def spec(self) -> PodSpec:
        return self.pod.spec

    @property
    def containers(self) -> Sequence[tuple[AnyContainer, SecurityContext]]:
        spec = self.pod.spec
        every: tuple[AnyContainer, ...] = (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)
        return [(one, one.security_context or SecurityContext()) for one in every]

    @property
    def windows(self) -> bool:
        return self.minor >= 25 and self.spec.os is not None and self.spec.os.name == "windows"

    @property
    def own_users(self) -> bool:
        """In a user namespace of its own some rules have no object."""
        return self.minor >= 35 and self.spec.host_users is False


class Violation(msgspec.Struct, frozen=True):
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Found = Iterator[Violation]


def setters_of(
    subject: Subject, of: Callable[[SecurityContext], str], pod_level: str, bad: Callable[[str], bool]
) -> tuple[list[str], list[str]]:
    """Who sets a bad value, pod first, and the bad values."""
    found = {one.name: of(context) for one, context in subject.containers}
    names = [name for name, value in found.items() if bad(value)]
    setters = (["pod"] if bad(pod_level) else []) + ([named(names)] if names else [])
    return setters, sorted({value for value in (pod_level, *found.values()) if bad(value)})


def pod_seccomp(subject: Subject) -> str:
    context = subject.spec.security_context
    return context.seccomp_profile.type if context and context.seccomp_profile else ""


def named(names: Iterable[str]) -> str:
    """container "a" / containers "a", "b"."""
    found = list(names)
    return f"{plural('container', found)} {quoted(found)}"


def plural(word: str, values: Iterable[object]) -> str:
    return word + ("s" if len(list(values)) > 1 else "")


def quoted(values: Iterable[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)
