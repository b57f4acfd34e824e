from __future__ import annotations

import pytest

from minikube.api import selectors
from minikube.api.meta_v1 import LabelSelector, LabelSelectorRequirement


@pytest.mark.parametrize(
    ("text", "matching", "failing"),
    [
        ("a=b", {"a": "b"}, {"a": "c"}),
        ("a==b", {"a": "b"}, {}),
        ("a!=b", {}, {"a": "b"}),
        ("a in (b, c)", {"a": "c"}, {"a": "d"}),
        ("a notin (b,c)", {}, {"a": "b"}),
        ("a", {"a": ""}, {"b": "1"}),
        ("!a", {}, {"a": "1"}),
        ("a>5", {"a": "6"}, {"a": "5"}),
        ("a<5", {"a": "4"}, {"a": "x"}),
        ("a=", {"a": ""}, {"a": "b"}),
        ("x.io/a=b,!c , d in (e)", {"x.io/a": "b", "d": "e"}, {"x.io/a": "b", "d": "e", "c": ""}),
    ],
)
def test_a_label_selector_matches(text, matching, failing):
    selector = selectors.parse_labels(text)
    assert selector.matches(matching)
    assert not selector.matches(failing)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b,", "unable to parse requirement: found '', expected: identifier after ','"),
        ("=b", "unable to parse requirement: found '=', expected: !, identifier, or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a=b c", "unable to parse requirement: found 'c', expected: ',' or 'end of string'"),
    ],
)
def test_a_wrong_label_selector_is_told_in_upstreams_words(text, message):
    with pytest.raises(selectors.SelectorError) as told:
        selectors.parse_labels(text)
    assert str(told.value) == message


def test_a_missing_struct_selects_nothing_and_an_empty_one_everything():
    assert not selectors.matches(None, {})
    assert selectors.matches(LabelSelector(), {"a": "b"})


def test_a_struct_is_written_as_kubectl_shows_it():
    struct = LabelSelector(
        match_labels={"b": "1"},
        match_expressions=(LabelSelectorRequirement(key="a", operator="NotIn", values=("y", "x")),),
    )
    assert selectors.selector_text(struct) == "a notin (x,y),b=1"


def test_a_field_selector_matches_with_escapes():
    selector = selectors.parse_fields(r"status.phase!=Failed,metadata.name=a\,b")
    assert all(one.holds({"metadata.name": "a,b"}) for one in selector)
    assert not all(one.holds({"metadata.name": "a,b", "status.phase": "Failed"}) for one in selector)


def test_a_wrong_field_selector_is_told():
    with pytest.raises(selectors.SelectorError, match="can't understand 'abc'"):
        selectors.parse_fields("abc")
