"""Health answers in upstream's words."""

from __future__ import annotations

from minikube.apiserver.health import Health, HealthError, Report, ping


async def broken() -> None:
    raise HealthError("disk full")


def health() -> Health:
    return Health({"ping": ping}, {"etcd": broken}, ("bootstrap",))


async def test_a_failing_check_fails_the_whole_and_hides_its_reason():
    told = await health().report("/readyz", verbose=False, excluded=())
    assert told == Report(
        500,
        "[+]ping ok\n[-]poststarthook/bootstrap failed: reason withheld\n[-]etcd failed: reason withheld\n"
        "readyz check failed\n",
    )


async def test_a_hook_holds_once_it_is_done():
    one = health()
    one.done("bootstrap")
    assert await one.report("/livez", verbose=False, excluded=()) == Report(200, "ok")
    told = await one.report("/livez", verbose=True, excluded=())
    assert told == Report(200, "[+]ping ok\n[+]poststarthook/bootstrap ok\nlivez check passed\n")


async def test_checks_can_be_left_out():
    told = await health().report("/readyz", verbose=True, excluded=("etcd", "poststarthook/bootstrap", "x"))
    assert told is not None
    assert told.code == 200
    assert "[+]etcd excluded: ok" in told.text
    assert 'no matches for "x"' in told.text


async def test_one_check_has_a_path_of_its_own():
    assert await health().report("/readyz/ping", verbose=False, excluded=()) == Report(200, "ok")
    assert await health().report("/readyz/etcd", verbose=False, excluded=()) == Report(
        500, "internal server error: disk full\n"
    )
    assert await health().report("/livez/etcd", verbose=False, excluded=()) is None
