"""Brings a database to this program's schema. alembic is only imported when there is something to do."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from minikube.store.errors import NewerSchema

REVISIONS = ("0001",)
"""Every schema revision this program knows, oldest first; the last is what it works with."""


def script_location() -> Path:
    """The alembic environment: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def schema_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def upgrade(engine: Engine) -> None:
    """Raises NewerSchema when the database is from a later version of the program."""
    with engine.connect() as connection:
        revision = schema_revision(connection)
    if revision == REVISIONS[-1]:
        return
    if revision is not None and revision not in REVISIONS:
        raise NewerSchema(
            f"the database has schema {revision}, this version of minikube knows up to {REVISIONS[-1]}: "
            "install the newer version again, or restore a copy made before the upgrade"
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(script_location()))
    config.attributes["engine"] = engine
    command.upgrade(config, "head")
