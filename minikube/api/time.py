"""Times as the API has them: metav1.Time in whole seconds, metav1.MicroTime always with microseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def seconds(at: datetime) -> datetime:
    """As metav1.Time keeps it."""
    return at.astimezone(UTC).replace(microsecond=0)


def micro(at: datetime) -> datetime:
    """As metav1.MicroTime is read by clients: the encoder would leave out a fraction of exactly zero."""
    at = at.astimezone(UTC)
    return at if at.microsecond else at.replace(microsecond=1)


def text(at: datetime) -> str:
    """2026-01-31T12:00:00Z"""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_text(at: datetime) -> str:
    """2026-01-31T12:00:00.000000Z"""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
