"""Starts Spark, with the settings that a query's meaning depends on. pyspark's only door."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.errors import EngineError, UsageError
from analyzer.exported import MANIFEST
from analyzer.units import visible

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOCAL_MASTER = "local[*]"
_LOCAL = re.compile(r"local(\[(\*|\d+)(,\s*\d+)?\])?")
_MASTER = re.compile(r"spark://\S+|k8s://\S+|yarn")
MASTERS = "local[N], spark://HOST:PORT, yarn, k8s://URL"
_TYPES = {"VARCHAR": "STRING", "INTEGER": "INT", "BLOB": "BINARY", "BIGINT": "BIGINT", "DOUBLE": "DOUBLE"}
_MEANING = {  # what the translation relies on, whatever the cluster's defaults are
    "spark.sql.ansi.enabled": "true",  # an overflow is an error, not another number
    "spark.sql.variable.substitute": "false",  # ${env:…} in a value is text
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.legacy.sizeOfNull": "false",
    "spark.sql.groupByAliases": "true",
    "spark.sql.session.timeZone": "UTC",
    # Takes an alias away in one branch of a union and not in the other; the plan is then refused by Spark itself.
    "spark.sql.optimizer.excludedRules": "org.apache.spark.sql.catalyst.optimizer.RemoveRedundantAliases",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}


def is_local(master: str) -> bool:
    """Tell whether Spark runs inside this process's machine alone; refuse what is no master.

    raises  UsageError naming the forms
    """
    if _LOCAL.fullmatch(master):
        return True
    if not _MASTER.fullmatch(master):
        raise UsageError(f"--master {visible(master)} is no Spark master", hint=f"one of: {MASTERS}")
    return False


class Session:
    """A running Spark: registers tables, runs SQL, reads a file. Everything that is asked of Spark goes through it."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def manifest(self, folder: str) -> str:
        """Return the manifest of an exported folder, wherever Spark can read it.

        raises  EngineError when there is none
        """
        try:
            rows = self._spark.read.text(f"{folder}/{MANIFEST}", wholetext=True).collect()
        except _errors() as error:
            raise EngineError(
                f"{visible(folder)} holds no export ({_first_line(error)})", hint="make one: analyzer export"
            ) from None
        return str(rows[0][0])

    def read(self, table: str, folder: str, columns: Mapping[str, str], *, is_empty: bool) -> None:
        """Register a folder of Parquet files, or none, as a table with these columns (DuckDB's types)."""
        types = {name: spark_type(type_) for name, type_ in columns.items()}
        with _explained(f"table {table}"):
            if is_empty:
                nothing = ", ".join(f"cast(null as {type_}) as `{name}`" for name, type_ in types.items())
                rows = self._spark.sql(f"select {nothing} where false")
            else:
                schema = ", ".join(f"`{name}` {type_}" for name, type_ in types.items())
                rows = self._spark.read.schema(schema).parquet(f"{folder}/{table}").select(*types)
            rows.createOrReplaceTempView(table)

    def define(self, table: str, text: str, *, keep: bool) -> dict[str, str]:
        """Let a SELECT be a table; returns Spark's type by column.

        keep  compute its rows now and hold them, in memory or else on the disks of the executors
        """
        with _explained(f"table {table}"):
            rows = self._spark.sql(text)
            if keep:  # cuts the plan: of a table from tables from tables Spark takes minutes to make one
                rows = rows.localCheckpoint(eager=True)
            rows.createOrReplaceTempView(table)
            return dict(rows.dtypes)

    def run(self, text: str) -> tuple[dict[str, str], Iterator[tuple[Any, ...]]]:
        """Run a SELECT; returns Spark's type by column, and the rows."""
        with _explained("the query"):
            rows = self._spark.sql(text)
            return dict(rows.dtypes), (tuple(_plain(value) for value in row) for row in rows.collect())


@contextmanager
def started(master: str) -> Iterator[Session]:
    """Run Spark until the block is left. Locally it listens on the loopback interface alone and shows no pages.

    raises  UsageError when pyspark is not installed; EngineError when Spark does not start
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise not_installed() from None
    builder = SparkSession.builder.master(master).appName("analyzer")
    quiet = Path(str(files("analyzer.spark"))) / "log4j2.properties"
    options = _MEANING | {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={quiet.as_uri()}",
    }
    if is_local(master):
        options |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    for name, value in options.items():
        builder = builder.config(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of versions of pandas, which is not used here
            spark = builder.getOrCreate()
            spark.sql("select 1").schema  # noqa: B018  it is the first query that looks for pandas
    except (PySparkException, OSError) as error:
        raise EngineError(
            f"Spark does not start: {_first_line(error)}",
            hint="it needs Java 17 or newer: on Debian `apt-get install default-jre-headless`; JAVA_HOME names another",
        ) from None
    try:
        yield Session(spark)
    finally:
        spark.stop()


def not_installed() -> UsageError:
    """Return the error for want of the extra."""
    return UsageError(
        "--engine spark needs pyspark and sqlglot, which are not installed", hint="pip install 'analyzer[spark]'"
    )


def spark_type(duckdb_type: str) -> str:
    """Return Spark's name of a type."""
    if duckdb_type.endswith("[]"):
        return f"ARRAY<{spark_type(duckdb_type.removesuffix('[]'))}>"
    return _TYPES.get(duckdb_type, duckdb_type)


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray) else value


def _errors() -> tuple[type[Exception], ...]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return (PySparkException, Py4JError)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except _errors() as error:
        raise EngineError(f"Spark failed on {what}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return visible(lines[0][:300] if lines else type(error).__name__)
