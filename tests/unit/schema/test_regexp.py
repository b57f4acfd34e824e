"""Patterns as Go reads them: its syntax, its words for what is none, and no text that takes forever."""

from __future__ import annotations

import pytest

from minikube.schema.regexp import Regexp, problem


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\p{Lu}\p{Greek}*$", "Ωμέγα", True),
        (r"^\pN+$", "१२", True),
        (r"(?i)^abc$", "ABC", True),
        (r"^a\z", "a\n", False),
        (r"^a$", "a\n", False),
        (r"(?m)^a$", "a\nb", True),
        (r"^\d$", "१", False),
        (r"^[[:alpha:]]+$", "abc", True),
        (r"^[[:^alpha:]]+$", "123", True),
        (r"^\Qa.b\E$", "a.b", True),
        (r"^(?P<x>a)(?s:.)$", "a\n", True),
        (r"b", "abc", True),
        (r"^.{2}$", "ÄÖ", True),
    ],
)
def test_found(pattern: str, text: str, found: bool) -> None:
    assert Regexp(pattern).found_in(text) is found


def test_a_hostile_pattern_takes_no_longer_than_any_other() -> None:
    assert not Regexp(r"^((a+)+)+$").found_in("a" * 100_000 + "b")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("+", "error parsing regexp: missing argument to repetition operator: `+`"),
        ("(?=x)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"),
        ("(a", "error parsing regexp: missing closing ): `(a`"),
        ("[b", "error parsing regexp: missing closing ]: `[b`"),
        (r"a\Z", r"error parsing regexp: invalid escape sequence: `\Z`"),
        ("a{1001}", "error parsing regexp: invalid repeat count: `{1001}`"),
        ("a**", "error parsing regexp: invalid nested repetition operator: `**`"),
        ("^[a-z]+$", ""),
    ],
)
def test_problem(pattern: str, why: str) -> None:
    assert problem(pattern) == why
