"""A walk over a snapshot shows one revision, whatever happens between its steps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minikube.registry import snapshot as module
from minikube.registry.cache import Bucket
from minikube.registry.history import Change
from minikube.registry.snapshot import Snapshot
from minikube.registry.stored import StoredObject
from tests.unit.registry.test_history import CONFIG_MAP, stored

PATHS = [(namespace, f"o{number:03}") for namespace in ("a", "a-b", "b") for number in range(2 * module.CHUNK)]


class Written:
    """A bucket, and what to do to it."""

    def __init__(self) -> None:
        self.bucket = Bucket(CONFIG_MAP, 0)
        self.revision = 0

    def put(self, namespace: str, name: str) -> None:
        self.revision += 1
        path = f"{namespace}/{name}"
        new = stored(self.revision, name, namespace)
        self.bucket.apply(Change(self.revision, self.bucket.objects.get(path), new), path)

    def delete(self, namespace: str, name: str) -> None:
        path = f"{namespace}/{name}"
        old = self.bucket.objects.get(path)
        if old is not None:
            self.revision += 1
            self.bucket.apply(Change(self.revision, old, None, stored(self.revision, name, namespace)), path)

    def toggle(self, namespace: str, name: str) -> None:
        """Present objects go or change, absent ones come."""
        if f"{namespace}/{name}" in self.bucket.objects and int(name[1:]) % 3:
            self.delete(namespace, name)
        else:
            self.put(namespace, name)


def walked(snapshot: Snapshot) -> list[tuple[str, StoredObject]]:
    return [pair for chunk in snapshot.chunks() for pair in chunk]


some = st.lists(st.sampled_from(PATHS), max_size=60)


@given(
    before=some, meanwhile=some, steps=st.lists(some, max_size=8), namespace=st.sampled_from(["", "a", "b", "c"])
)
def test_it_is_the_state_at_its_revision_in_order(
    before: list[tuple[str, str]],
    meanwhile: list[tuple[str, str]],
    steps: list[list[tuple[str, str]]],
    namespace: str,
) -> None:
    written = Written()
    for path in PATHS[::2]:
        written.put(*path)
    for path in before:
        written.toggle(*path)
    then, revision = dict(written.bucket.objects), written.revision
    for path in meanwhile:
        written.toggle(*path)
    wanted = sorted((path, one) for path, one in then.items() if not namespace or path.startswith(f"{namespace}/"))
    seen: list[tuple[str, StoredObject]] = []
    with Snapshot(written.bucket, revision, namespace) as snapshot:
        todo = iter(steps)
        for chunk in snapshot.chunks():
            seen += chunk
            for path in next(todo, ()):
                written.toggle(*path)
            assert snapshot.left_from(f"{chunk[-1][0]}\0") == len(wanted) - len(seen)
    assert seen == wanted


def test_it_starts_where_it_is_told_and_notes_nothing_after_its_end() -> None:
    written = Written()
    for path in PATHS:
        written.put(*path)
    with Snapshot(written.bucket, written.revision, "a", "a/o100") as snapshot:
        assert snapshot.left_from("a/o100") == 100
        assert [path for path, _ in walked(snapshot)] == [f"a/o{number:03}" for number in range(100, 200)]
    assert written.bucket.listeners == []
