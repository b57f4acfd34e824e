"""Every stable kind is declared once, with a table that fits its columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minikube.resources import subresources
from minikube.resources.all import ALL
from minikube.resources.base import Kind
from tools.kinds import KINDS

BUILTIN = json.loads(Path("minikube/schema/builtin.json").read_bytes())
SUBRESOURCE_KINDS = (subresources.SCALE, subresources.EVICTION, subresources.TOKEN_REQUEST)


def test_every_stable_kind_is_declared():
    declared = [(kind.resource.api_version, kind.resource.kind) for kind in (*ALL, *SUBRESOURCE_KINDS)]
    assert sorted(declared) == sorted((version, kind) for version, kind, _, _ in KINDS)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: f"{kind.resource.api_version}.{kind.resource.kind}")
def test_a_kind_has_a_definition_and_a_row_that_fits_its_columns(kind: Kind):
    assert kind.definition in BUILTIN
    assert len(kind.row(kind.type(), datetime.now(UTC))) == len(kind.columns)


def test_short_names_do_not_collide():
    names = [(name, kind.resource.plural) for kind in ALL for name in kind.short_names]
    owners: dict[str, set[str]] = {}
    for name, plural in names:
        owners.setdefault(name, set()).add(plural)
    assert {name: plurals for name, plurals in owners.items() if len(plurals) > 1} == {}
