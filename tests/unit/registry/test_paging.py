"""Lists in pages: what a token says, and which options go together."""

from __future__ import annotations

import pytest

from minikube.errors import BadRequest, Invalid
from minikube.registry.base import ListOptions
from minikube.registry.paging import INCONSISTENT, Continue, check_options


def test_a_token_says_where_to_go_on() -> None:
    token = Continue.at(7, "default/web")
    assert Continue.read(token.text()) == token


@pytest.mark.parametrize("token", ["nonsense", "e30", "%%%", "a"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(BadRequest, match="continue key is not valid"):
        Continue.read(token)


def test_a_token_that_is_too_old_brings_one_for_the_present_state() -> None:
    told = Continue.at(7, "default/web").expired().status()
    assert (told["code"], told["reason"]) == (410, "Expired")
    assert Continue.read(told["metadata"]["continue"]) == Continue.at(INCONSISTENT, "default/web")


@pytest.mark.parametrize(
    "options",
    [
        ListOptions(),
        ListOptions(resource_version="0"),
        ListOptions(resource_version="5", resource_version_match="Exact"),
        ListOptions(resource_version="0", resource_version_match="NotOlderThan"),
        ListOptions(resource_version="0", continue_="x", limit=3),
    ],
)
def test_options_that_go_together(options: ListOptions) -> None:
    check_options(options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (ListOptions(resource_version_match="Exact"), "forbidden unless resourceVersion is provided"),
        (ListOptions(resource_version_match="Exact", continue_="x"), "forbidden when continue is provided"),
        (ListOptions(resource_version="5", resource_version_match="Newest"), 'Unsupported value: "Newest"'),
        (ListOptions(resource_version="0", resource_version_match="Exact"), 'forbidden for resourceVersion "0"'),
    ],
)
def test_a_match_that_means_nothing_is_invalid(options: ListOptions, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_options(options)
    assert why in refused.value.message


def test_a_token_has_its_own_revision() -> None:
    with pytest.raises(BadRequest, match="not allowed when using continue"):
        check_options(ListOptions(resource_version="5", continue_="x"))
