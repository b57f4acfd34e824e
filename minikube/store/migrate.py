"""Brings a database to this program's schema.

A new database gets the present tables at once; alembic, which is slow to import and large, is for upgrades only.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    text,
)

from minikube.store.errors import NewerSchema

REVISIONS = ("0001",)
"""Every schema revision this program knows, oldest first; the last is what it works with."""

TABLES = MetaData()
"""The tables after the last revision; a test compares them with what the migrations make."""
Table(
    "log",
    TABLES,
    Column("revision", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("key", Text, nullable=False),
    Column("previous", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("value", LargeBinary, nullable=False),
    UniqueConstraint("key", "previous", name="log_key_previous"),
)
Table(
    "state",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
ALEMBIC = Table("alembic_version", TABLES, Column("version_num", String(32), primary_key=True))


def script_location() -> Path:
    """The alembic environment: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def schema_revision(connection: Connection) -> str | None:
    """None: migrations were begun and have not made a single step. Raises KeyError for an empty database."""
    tables = inspect(connection).get_table_names()
    if ALEMBIC.name not in tables:
        raise KeyError(ALEMBIC.name)
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def upgrade(engine: Engine) -> None:
    """Raises NewerSchema when the database is from a later version of the program."""
    with engine.begin() as connection:
        try:
            revision = schema_revision(connection)
        except KeyError:
            TABLES.create_all(connection)
            connection.execute(ALEMBIC.insert().values(version_num=REVISIONS[-1]))
            return
    if revision == REVISIONS[-1]:
        return
    if revision is not None and revision not in REVISIONS:
        raise NewerSchema(
            f"the database has schema {revision}, this version of minikube knows up to {REVISIONS[-1]}: "
            "install the newer version again, or restore a copy made before the upgrade"
        )
    migrate(engine)


def migrate(engine: Engine) -> None:
    """Every migration that has not been made yet."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(script_location()))
    config.attributes["engine"] = engine
    command.upgrade(config, "head")
