"""How warnings become headers (apiserver's warning recorder)."""

from __future__ import annotations

from minikube.apiserver.warnings import MOST_IN_ALL, MOST_OF_ONE, warning_headers


def test_a_text_is_told_once_quoted_and_without_agent():
    assert list(warning_headers(['say "a"', "b\\c", 'say "a"'])) == ['299 - "say \\"a\\""', '299 - "b\\\\c"']


def test_what_no_header_can_carry_is_left_out():
    assert list(warning_headers(["a\nb", "", "\ud800", "fine"])) == ['299 - "fine"']


def test_long_texts_stay_whole_while_all_of_them_fit():
    assert list(warning_headers(["x" * MOST_IN_ALL])) == [f'299 - "{"x" * MOST_IN_ALL}"']


def test_too_much_in_all_cuts_every_text_and_ends_the_list():
    texts = [f"{number:04}" + "x" * 1000 for number in range(40)]
    told = list(warning_headers(texts))
    assert told == [f'299 - "{text[:MOST_OF_ONE]}"' for text in texts[: MOST_IN_ALL // MOST_OF_ONE]]
