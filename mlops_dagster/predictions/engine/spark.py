"""An engine elsewhere: any Spark Connect server (Spark, Databricks, EMR, Sail) that can read the log's tables."""

from typing import TYPE_CHECKING, Final

from mlops_dagster.errors import StorageError
from mlops_dagster.extras import require
from mlops_dagster.predictions.engine.engine import Source, Statement, Stored

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

_RETRIES: Final = 5
"""Some 20 s until a server that is away is given up; by default it is ten minutes."""


class SparkEngine:
    """Runs statements on the Spark Connect server at `url`, sc://host:port, each in a session by itself.

    The server reads the tables, by their addresses, with credentials that it has.
    """

    def __init__(self, url: str) -> None:
        require("spark", "an engine at MLOPS_ENGINE")
        self._url = url
        self._shown = url.partition("/;")[0]  # a token may follow

    def run(self, statement: Statement) -> "pa.Table":
        """Return the result of the statement, see `Engine`."""
        from pyspark.errors import PySparkException
        from pyspark.sql.connect.client.retries import DefaultPolicy
        from pyspark.sql.connect.session import SparkSession

        try:
            session = SparkSession.builder.remote(self._url).create()
            session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
            try:
                session.conf.set("spark.sql.session.timeZone", "UTC")
                for name, source in statement.tables.items():
                    _frame(session, source).createOrReplaceTempView(name)
                return session.sql(statement.text, args=list(statement.parameters)).toArrow()
            finally:
                session.stop()
        except PySparkException as error:
            line = " ".join(str(error).split())
            raise StorageError(
                f"the engine at {self._shown} did not run the statement: {line:.500}; mend that, or unset MLOPS_ENGINE"
            ) from error


def _frame(session: "SparkSession", source: Source) -> "DataFrame":
    from pyspark.sql.connect import functions as sql

    rows = source.rows
    frame: DataFrame
    if isinstance(rows, Stored):
        frame = session.read.format("delta").option("versionAsOf", rows.table.version()).load(rows.at.uri)
    else:
        frame = session.createDataFrame(rows)
    columns = (sql.col("`{}`".format(column.replace("`", "``"))).alias(name) for name, column in source.columns.items())
    return frame.select(*columns)
