"""Copies of the receipts of purges, by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import orjson

from analyzer.errors import StoreError


class Receipts:
    """The receipts in an open store."""

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck

    def keep(self, receipt: Mapping[str, Any]) -> None:
        """Add a receipt, or its newer version. Needs a store that is open for writing."""
        self._duck.execute("begin")
        self._duck.execute("delete from purge_receipt where receipt_id = $id", {"id": receipt["id"]})
        self._duck.execute(
            "insert into purge_receipt values ($id, $deployment, $finished_at, $text)",
            {
                "id": receipt["id"],
                "deployment": receipt["deployment"],
                "finished_at": receipt["finished_at"],
                "text": orjson.dumps(receipt).decode(),
            },
        )
        self._duck.execute("commit")

    def all(self, deployment: str | None = None) -> list[dict[str, Any]]:
        """Return the receipts, oldest first.

        deployment  only of this one; None: of all
        """
        rows = self._duck.execute(
            """select receipt_json from purge_receipt where $name is null or deployment = $name
            order by finished_at, receipt_id""",
            {"name": deployment},
        ).fetchall()
        return [orjson.loads(text) for (text,) in rows]

    def get(self, receipt_id: str) -> dict[str, Any]:
        """Return one receipt by its id, or by the beginning of it.

        raises  StoreError when none, or several, begin so
        """
        found = [receipt for receipt in self.all() if str(receipt["id"]).startswith(receipt_id)]
        if len(found) != 1:
            raise StoreError(f"{len(found)} receipts begin with {receipt_id!r}", hint="`analyzer purge list`")
        return found[0]
