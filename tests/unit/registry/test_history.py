"""The history of a kind: what is forgotten first, how much, and that nothing above the floor is."""

from __future__ import annotations

import msgspec

from minikube.registry import history
from minikube.registry.cache import Bucket
from minikube.registry.history import Change, History
from minikube.registry.snapshot import Snapshot
from minikube.registry.stored import StoredObject
from minikube.resources.all import ALL
from minikube.store.base import Record

CONFIG_MAP = next(kind for kind in ALL if kind.resource.plural == "configmaps")


def stored(revision: int, name: str = "a", namespace: str = "n", size: int = 0) -> StoredObject:
    metadata = {"name": name, "namespace": namespace}
    value = msgspec.json.encode({"metadata": metadata, "data": {"x": "y" * size}})
    return StoredObject(
        CONFIG_MAP, Record(f"/registry/core/configmaps/{namespace}/{name}", value, revision, revision)
    )


def revisions(of: History, since: int = 0) -> list[int]:
    return [change.revision for change in of.since(since, 10_000)]


def test_what_is_forgotten_raises_the_floor() -> None:
    kept = History(10)
    for revision in (11, 13, 17):
        kept.add(Change(revision, None, stored(revision)))
    freed = kept.forget(15)
    assert (kept.floor, revisions(kept)) == (13, [17])
    assert freed == Change(11, None, stored(11)).size + Change(13, None, stored(13)).size
    assert kept.forget(15) == 0
    assert kept.floor == 13


def test_a_long_history_loses_its_older_half() -> None:
    kept = History(0)
    for revision in range(1, 2 * history.LENGTH + 2):
        kept.add(Change(revision, None, stored(revision)))
    assert kept.floor == history.LENGTH
    assert revisions(kept, history.LENGTH)[0] == history.LENGTH + 1


def test_a_heavy_history_is_lightened_from_its_old_end() -> None:
    kept, size = History(0), history.BYTES // 8
    for revision in range(1, 10):
        kept.add(Change(revision, None, stored(revision, size=size)))
    assert kept.heavy
    freed = kept.lighten()
    assert not kept.heavy
    assert freed > 5 * size
    assert revisions(kept)[-1] == 9
    assert revisions(kept)[0] == kept.floor + 1


def test_the_last_change_counts_the_state_it_ended() -> None:
    gone = Change(3, stored(2), None, stored(3, size=100))
    assert gone.size > 100


def paths(bucket: Bucket, namespace: str = "", start: str = "") -> list[str]:
    with Snapshot(bucket, 99, namespace, start) as snapshot:
        return [path for chunk in snapshot.chunks() for path, _ in chunk]


def test_paths_are_in_order_and_of_one_namespace() -> None:
    bucket = Bucket(CONFIG_MAP, 0)
    for revision, (namespace, name) in enumerate(
        [("n", "b"), ("n-1", "a"), ("m", "z"), ("n", "a"), ("n0", "a")], 1
    ):
        bucket.apply(Change(revision, None, stored(revision, name, namespace)), f"{namespace}/{name}")
    assert paths(bucket) == ["m/z", "n-1/a", "n/a", "n/b", "n0/a"]
    assert paths(bucket, "n") == ["n/a", "n/b"]
    assert paths(bucket, "n", "n/b") == ["n/b"]
    assert paths(bucket, "n-1") == ["n-1/a"]
    bucket.apply(Change(6, bucket.objects["n/a"], None, stored(6, "a")), "n/a")
    assert paths(bucket, "n") == ["n/b"]
    assert [one.name for one in bucket.select("n")] == ["b"]
