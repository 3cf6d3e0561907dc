"""The tokens of all servers on one database, each kept as its hash, with who revoked it and when."""

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, Engine, MetaData, Row, String, Table, Text, select, update

from mlops_dagster.access.token_file import TokenFile
from mlops_dagster.access.tokens import Scope, Token, new_token
from mlops_dagster.clock import parse_time
from mlops_dagster.database import looking, migrate, open_database, writing
from mlops_dagster.errors import ConflictError, MlopsError, NotFoundError, StorageError

if TYPE_CHECKING:
    from mlops_dagster.settings import Settings

logger = logging.getLogger(__name__)

TABLES = MetaData()
_tokens = Table(
    "tokens",
    TABLES,
    Column("sha256", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", String, nullable=False),
    Column("created_by", String, nullable=False),
    Column("revoked_at", String),
    Column("revoked_by", String),
)

FOLLOW_SECONDS: Final = 1.0
"""Time within which a home's copy follows a change."""

_PATIENCE: Final = 5.0  # seconds, for which the start of a server may wait for a database that hangs


class TokenStore:
    """The tokens in the database of the registry, and their copy in this home, which its servers read.

    The database is opened at its first use; every method raises StorageError while it is away.
    """

    def __init__(self, settings: "Settings") -> None:
        self._engine = open_database(settings.database)
        self._copy = TokenFile(settings.tokens_path)

    def list(self) -> Sequence[Token] | None:
        """Return the tokens that were not revoked, by their times; None if no token was ever made."""
        with looking(self._database, _PATIENCE) as connection:
            rows = connection.execute(select(_tokens).order_by(_tokens.c.created_at, _tokens.c.name)).all()
        return [_token(row) for row in rows if row.revoked_at is None] if rows else None

    def create(self, name: str, scopes: Sequence[Scope], *, at: datetime, by: str) -> str:
        """Make and return a new token, which is not kept. Raises InvalidInputError; ConflictError for a taken name."""
        secret, token = new_token(name, scopes, at=at, by=by)
        taken = select(_tokens.c.name).where(_tokens.c.name == name, _tokens.c.revoked_at.is_(None))
        with writing(self._database) as connection:
            if connection.execute(taken).first() is not None:
                raise ConflictError(f"there is a token {name!r} already; revoke it first, or choose another name")
            connection.execute(
                _tokens.insert(),
                {
                    "sha256": token.sha256,
                    "name": name,
                    "scopes": json.dumps(token.scopes),
                    "created_at": at.isoformat(),
                    "created_by": by,
                },
            )
        self.copy()
        return secret

    def revoke(self, name: str, *, at: datetime, by: str) -> None:
        """Revoke a token; raises NotFoundError."""
        its = update(_tokens).where(_tokens.c.name == name, _tokens.c.revoked_at.is_(None))
        with writing(self._database) as connection:
            revoked = connection.execute(its.values(revoked_at=at.isoformat(), revoked_by=by))
            if not revoked.rowcount:
                raise NotFoundError(f"no token {name!r}; `mlops tokens list` shows what there is")
        self.copy()

    def copy(self) -> None:
        """Bring the copy in this home up to date."""
        self._copy.follow(self.list)

    def copy_before_start(self) -> None:
        """Bring the copy up to date before a server starts; while the database is away, the last copy stays in force.

        Without a copy nobody is let in until the database has said which tokens there are.
        """
        try:
            self.copy()
        except StorageError as error:
            if self._copy.read() is None:
                self._copy.follow(lambda: ())
            logger.warning("the last known tokens are in force until the database answers: %s", error)

    @contextmanager
    def copied(self) -> Iterator[None]:
        """Bring the copy up to date now and each second, on a thread, until the end of the block."""
        self.copy_before_start()
        ending = threading.Event()
        thread = threading.Thread(target=self._copy_until, args=(ending,), name="tokens", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def _copy_until(self, ending: threading.Event) -> None:
        failed = False
        while not ending.wait(FOLLOW_SECONDS):
            try:
                self.copy()
            except MlopsError as error:
                if not failed:
                    logger.error("the last known tokens stay in force: %s", error)
                failed = True
            else:
                failed = False

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    @cached_property
    def _database(self) -> Engine:
        migrate(self._engine)
        return self._engine


def _token(row: Row[Any]) -> Token:
    scopes = tuple(Scope(scope) for scope in json.loads(row.scopes))
    return Token(row.name, scopes, row.sha256, parse_time(row.created_at), row.created_by)
