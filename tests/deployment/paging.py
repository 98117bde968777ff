"""Pages of a table as queries of the platform give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.deployment.errors import FunctionError
from tests.deployment.functions import Call
from tests.deployment.tables import Revision

PUBLIC_SYSTEM_TABLES = ("_storage", "_scheduled_functions")


def invalid_cursor() -> FunctionError:
    return FunctionError(
        "InvalidCursor: Tried to run a query starting from a cursor, but it looks like this cursor is from a "
        "different query.",
        {"isConvexSystemError": True, "paginationError": "InvalidCursor"},
    )


def check_readable(table: str) -> None:
    """Refuse system tables that nobody may read.

    raises  FunctionError
    """
    if table.startswith("_") and table not in PUBLIC_SYSTEM_TABLES:
        raise FunctionError(f"System table `{table}` cannot be read")


def options(call: Call, opts: dict[str, Any]) -> tuple[int, int, int]:
    """Return the most documents of a page, the most documents read and the most bytes read."""
    settings = call.backend.settings
    allowed = {"numItems", "cursor", "endCursor", "id", "maximumRowsRead", "maximumBytesRead"}
    items = opts.get("numItems")
    if set(opts) - allowed or not isinstance(items, float) or items < 0 or "cursor" not in opts:
        raise FunctionError("ArgumentValidationError: Value does not match validator.\nPath: .paginationOpts")
    return int(items), settings.table_rows, settings.table_bytes


def paginate(
    call: Call,
    table: str,
    opts: dict[str, Any],
    *,
    is_descending: bool,
    purpose: str,
    keep: Callable[[Revision], bool] = lambda _: True,
) -> dict[str, Any]:
    """Return a page of the table's documents in order of creation.

    A page that was filled does not know whether more follows: the next one may be empty and the last.
    """
    most, rows, bytes_ = options(call, opts)
    seal = call.backend.seal
    purpose = f"{purpose} {call.component.path}:{table} {is_descending}"
    after = None
    if opts["cursor"] is not None:
        try:
            after = seal.open(purpose, opts["cursor"])
        except ValueError:
            raise invalid_cursor() from None
    page: list[Revision] = []
    read = size = 0
    is_done, status = True, None
    tablet = call.tx.tablet(call.component, table)
    place = tuple(after) if isinstance(after, list) else None
    if tablet is not None and after != "end":
        for revision in tablet.by_creation(call.tx.ts, place, is_descending=is_descending):
            if len(page) >= most or read >= rows or size >= bytes_:
                is_done, status = False, None if len(page) >= most else "SplitRecommended"
                break
            call.tx.count_read(revision)
            read, size = read + 1, size + len(revision.body or b"")
            place = (revision.creation_ms, revision.id)
            if keep(revision):
                page.append(revision)
        else:
            is_done = len(page) < most or not page
    return {
        "page": page,
        "isDone": is_done,
        "continueCursor": seal.close(purpose, "end" if is_done else place),
        "splitCursor": None,
        "pageStatus": status,
    }
