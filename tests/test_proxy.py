"""The proxy in front of a server behind a Unix socket, which does not speak HTTP."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from tests.support.proxy import Proxy


def test_postgresql_fails_as_the_proxy_is_told(postgresql_server: str) -> None:
    server = make_url(postgresql_server)
    socket = Path(str(server.query["host"]), ".s.PGSQL.5432")
    with Proxy(socket) as proxy:
        url = server.set(drivername="postgresql+psycopg", host="127.0.0.1", port=proxy.port, query={})
        database = create_engine(url, connect_args={"connect_timeout": 2, "sslmode": "disable"})
        with database.connect() as connection:
            assert connection.scalar(text("SELECT length(repeat('x', 1000000))")) == 1_000_000
            proxy.cut(after=1000)
            with pytest.raises(OperationalError):
                connection.execute(text("SELECT repeat('x', 1000000)"))
        proxy.hang()
        with pytest.raises(OperationalError, match="timeout"):
            database.connect()
        proxy.heal()
        with database.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        database.dispose()
