"""What a conversion webhook may answer, and what is made of that."""

from __future__ import annotations

import msgspec
import pytest

from minikube.registry.conversion import Refused, answer, converted, question

ONE = {
    "apiVersion": "a.example.com/v1",
    "kind": "Foo",
    "metadata": {"name": "one", "uid": "u", "labels": {"a": "b"}},
}
NEW = {**ONE, "apiVersion": "a.example.com/v2"}


def test_a_review_is_of_the_first_version_that_both_know():
    asked = question(("v2", "v1beta1", "v1"), "7", [ONE], "a.example.com/v2")
    assert asked["apiVersion"] == "apiextensions.k8s.io/v1beta1"
    assert asked["request"] == {"uid": "7", "desiredAPIVersion": "a.example.com/v2", "objects": [ONE]}


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (None, "failed: no response provided"),
        ({"uid": "8"}, 'failed: expected response.uid="7", got "8"'),
        ({"uid": "7"}, "failed: response.result.status was '', not 'Success'"),
        ({"uid": "7", "result": {"status": "Failure", "message": "no"}}, "failed: no"),
    ],
)
def test_an_answer_that_is_none_says_why(response: object, said: str):
    review = {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response}
    with pytest.raises(Refused) as refused:
        answer(msgspec.json.encode(review), "7")
    assert str(refused.value) == said


def test_what_is_no_review_is_refused():
    for body in (b"<html>", b"[]", b'{"kind":"Status"}'):
        with pytest.raises(Refused, match="failed: "):
            answer(body, "7")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([], "returned 0 objects, expected 1"),
        ([1], "returned invalid converted object at index 0: an object is expected"),
        (
            [ONE],
            "returned invalid converted object at index 0: "
            "invalid groupVersion (expected a.example.com/v2, received a.example.com/v1)",
        ),
        (
            [{**NEW, "kind": "Bar"}],
            "returned invalid converted object at index 0: invalid kind (expected Foo, received Bar)",
        ),
        (
            [{**NEW, "metadata": None}],
            "returned invalid metadata in object at index 0: missing metadata in converted object",
        ),
        (
            [{**NEW, "metadata": {"name": "one", "uid": "v"}}],
            "returned invalid converted object at index 0: must have the same UID: u != v",
        ),
        (
            [{**NEW, "metadata": {"name": "one", "uid": "u", "labels": {"a": 1}}}],
            "returned invalid metadata in object at index 0: metadata.labels[a] must be a string, but is int in "
            "converted object",
        ),
    ],
)
def test_an_object_that_is_another_one_is_refused(made: list[object], said: str):
    with pytest.raises(Refused) as refused:
        list(converted([ONE], made, "a.example.com/v2"))
    assert str(refused.value) == said


def test_labels_and_annotations_are_the_webhooks_the_rest_of_the_metadata_is_not():
    said = {"name": "one", "uid": "u", "annotations": {"c": "d"}, "finalizers": ["x"]}
    (found,) = converted([ONE], [{**NEW, "metadata": said, "host": "h"}], "a.example.com/v2")
    assert found["metadata"] == {"name": "one", "uid": "u", "annotations": {"c": "d"}}
    assert found["host"] == "h"
