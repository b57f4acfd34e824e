"""Which of a client's offers is taken."""

from __future__ import annotations

import pytest

from minikube.apiserver.negotiation import JSON, YAML, Wanted, wanted
from minikube.errors import NotAcceptable

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("", Wanted("", JSON)),
        ("*/*", Wanted("", JSON)),
        ("application/vnd.kubernetes.protobuf, application/json", Wanted("", JSON)),
        ("application/json;q=0.5, application/yaml", Wanted("", YAML)),
        ("application/yaml;q=0.1, application/json;q=0.9", Wanted("", JSON)),
        ("application/json;q=0, application/yaml;q=0.1", Wanted("", YAML)),
        (f"{TABLE},application/json", Wanted("Table", JSON)),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", Wanted("PartialObjectMetadata", JSON)),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", Wanted("", JSON, "v2")),
        ("application/json;as=Nonsense, */*", Wanted("", JSON)),
    ],
)
def test_the_best_offer_that_can_be_had_is_taken(accept: str, taken: Wanted):
    assert wanted(accept) == taken


@pytest.mark.parametrize("accept", ["text/plain", "application/vnd.kubernetes.protobuf", "application/json;q=0"])
def test_offers_that_cannot_be_had_are_refused(accept: str):
    with pytest.raises(NotAcceptable):
        wanted(accept)


def test_what_has_no_metadata_is_no_table():
    with pytest.raises(NotAcceptable):
        wanted(TABLE, views=False)
    assert wanted(f"{TABLE}, application/json", views=False) == Wanted("", JSON)
