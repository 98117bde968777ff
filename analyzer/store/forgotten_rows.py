"""Takes documents and texts out of the tables of an open store. What they leave behind elsewhere goes as well.

Works on a copy: see `analyzer.store.forgetting`. Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import duckdb
import orjson

from analyzer.convex.text import reduced
from analyzer.store import minutes, remembered, stretches
from analyzer.store.columns import REVISION_TABLES, RevisionTable, revision_table
from analyzer.store.differences import rebuild_ends
from analyzer.store.masking import Matcher
from analyzer.store.staged import forget as drop_what_waits
from analyzer.store.staged import staged_name

Edges = Sequence[tuple[str, str, str]]  # table, field, the table that it names: its documents belong to those
FEW_CHARACTERS = 6  # a shorter text is a common word
# Where a document says who or what it is about.
_TELLING = {"users": ("email", "name"), "tasks": ("title",), "chatMessages": ("content_text",)}
_CLEANED = {("answer", "value_json"), ("purge_receipt", "receipt_json")}
_JSON = {"leftovers", "value_json", "receipt_json", "plan_json", "details_json"}
_OUR_OWN = {"id", "component", "table_name"}  # columns of documents that say where they stand


def gather(duck: duckdb.DuckDBPyConnection, tasks: Sequence[str], users: Sequence[str], edges: Edges) -> None:
    """Make the temporary table `forgotten_document` (table_name, id): tasks, users, and all that belongs to them.

    What belonged to one of them in any revision does. Only documents of the root component.
    """
    duck.execute("create or replace temp table forgotten_document (table_name varchar, id varchar)")
    for table, wanted in (("tasks", tasks), ("users", users)):
        duck.execute("insert into forgotten_document select $table, unnest($ids)", {"table": table, "ids": wanted})
    while any(_follow(duck, *edge) for edge in edges):
        pass
    known = " union ".join(
        f"select table_name, id from {name} where component = ''"
        for kind in REVISION_TABLES.values()
        for name in (kind.name, staged_name(kind))
    )
    duck.execute(f"delete from forgotten_document where (table_name, id) not in ({known})")


def _follow(duck: duckdb.DuckDBPyConnection, table: str, field: str, to: str) -> bool:
    """Add the documents of a table that name a forgotten one; returns whether there were any."""
    kind = revision_table("", table)
    name = next((column.name for column in kind.columns if column.field == field), None)
    path = '$."' + field.replace('"', '\\"') + '"'
    named = f"r.{name}" if name else "(r.leftovers->>$path)"
    rows = duck.execute(
        f"""insert into forgotten_document
        select distinct $table, r.id from (
            select id, component, table_name, leftovers {f", {name}" if name else ""} from {kind.name}
            union all
            select id, component, table_name, leftovers {f", {name}" if name else ""} from {staged_name(kind)}
        ) as r
        where r.component = '' and r.table_name = $table
            and {named} in (select f.id from forgotten_document as f where f.table_name = $to)
            and r.id not in (select f.id from forgotten_document as f where f.table_name = $table)
        returning 1""",
        {"table": table, "to": to} | ({} if name else {"path": path}),
    ).fetchall()
    return bool(rows)


def counts(duck: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return how many documents are to be forgotten, by table."""
    return dict(
        duck.execute("select table_name, count(*) from forgotten_document group by all order by all").fetchall()
    )


def ids_of(duck: duckdb.DuckDBPyConnection) -> list[str]:
    """Return what is to be forgotten, sorted."""
    return [row[0] for row in duck.execute("select distinct id from forgotten_document order by id").fetchall()]


def telling_texts(duck: duckdb.DuckDBPyConnection) -> list[str]:
    """Return addresses, names, titles and kept texts that only the forgotten documents have."""
    found: list[str] = []
    for table, columns in _TELLING.items():
        kind = REVISION_TABLES[table].name
        inside = "id in (select f.id from forgotten_document as f where f.table_name = $table)"
        for column in columns:
            found += [
                row[0]
                for row in duck.execute(
                    f"""select distinct {column} from {kind} where {inside} and length({column}) >= $few
                    except select {column} from {kind} where not ({inside})""",
                    {"table": table, "few": FEW_CHARACTERS},
                ).fetchall()
            ]
    return sorted(found)


def remove_documents(duck: duckdb.DuckDBPyConnection, matcher: Matcher) -> None:
    """Delete every revision of what `forgotten_document` names, and every trace of it."""
    _lower_counts(duck)
    held = " union ".join(
        f"select deployment_no from {name} where component = '' and {_is_forgotten()}"
        for kind in REVISION_TABLES.values()
        for name in (kind.name, staged_name(kind))
    )
    for (number,) in duck.execute(held).fetchall():  # the next live read begins anew, or counts would disagree
        drop_what_waits(duck, number)
        remembered.forget(duck, number)
    stretches.forget(duck)  # the next export is read whole, or what it holds of this would be missed
    for kind in REVISION_TABLES.values():
        duck.execute(f"delete from {kind.name} where component = '' and {_is_forgotten()}")
    rebuild_ends(duck)
    duck.execute("delete from mark where id in (select f.id from forgotten_document as f)")
    _drop_drift(duck)
    for table, column, type_ in _texts_of(duck):
        is_documents = table.startswith(("revision_", "staged_"))
        _mask(duck, table, column, type_, matcher.for_documents() if is_documents else matcher)
    minutes.recount(duck)


def _is_forgotten() -> str:
    return "(table_name, id) in (select f.table_name, f.id from forgotten_document as f)"


def _lower_counts(duck: duckdb.DuckDBPyConnection) -> None:
    """Move what each snapshot held of it from one count to the other."""
    parts = " union all ".join(
        f"""select r.revision_no, r.deployment_no, r.table_name, r.revision_ns from {kind.name} as r
        where r.component = '' and not r.deleted and {_is_forgotten()}"""
        for kind in REVISION_TABLES.values()
    )
    duck.execute(
        f"""create or replace temp table held_before as
        select s.snapshot_no, g.table_name, count(*) as documents
        from ({parts}) as g
        join snapshot as s on s.deployment_no = g.deployment_no and s.as_of_ns >= g.revision_ns
        left join revision_end as e on e.revision_no = g.revision_no
        where e.valid_to_ns is null or e.valid_to_ns > s.as_of_ns
        group by all"""
    )
    duck.execute(
        """update coverage set document_count = document_count - h.documents,
            forgotten_count = coalesce(forgotten_count, 0) + h.documents
        from held_before as h
        where h.snapshot_no = coverage.snapshot_no and h.table_name = coverage.table_name and coverage.component = ''
            and coverage.status = 'collected'"""
    )
    duck.execute("drop table held_before")


def _drop_drift(duck: duckdb.DuckDBPyConnection) -> None:
    """Drop what drift says of fields and values that no document has any more."""
    for (table,) in duck.execute("select distinct table_name from forgotten_document order by all").fetchall():
        name, of = revision_table("", table).name, {"table": table}
        duck.execute(
            f"""delete from drift where component = '' and table_name = $table and field <> '…'
                and kind in ('unknown_field', 'mistyped', 'reduced_text') and field not in (
                    select unnest(json_keys(leftovers)) from {name}
                    where component = '' and table_name = $table and leftovers is not null)""",
            of,
        )
        if revision_table("", table).statuses:
            duck.execute(
                f"""delete from drift where component = '' and table_name = $table and kind = 'unknown_status'
                and found not in (select left(status, 200) from {name} where status is not null)""",
                of,
            )


def _texts_of(duck: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Return table, column and type of every column that holds text, or bytes that are text."""
    rows = duck.execute(
        """select table_name, column_name, data_type from duckdb_columns()
        where not internal and database_name = current_database() and table_name <> 'meta'
            and data_type in ('VARCHAR', 'VARCHAR[]', 'BLOB') and column_name <> 'content_sha256'
        order by all"""
    ).fetchall()
    return [row for row in rows if not (row[0].startswith(("revision_", "staged_")) and row[1] in _OUR_OWN)]


def _mask(duck: duckdb.DuckDBPyConnection, table: str, column: str, type_: str, matcher: Matcher) -> None:
    """Replace what was forgotten in one column."""
    query, params = f"select distinct {column} from {table} where {column} is not null", None
    if type_ == "VARCHAR" and (table, column) not in _CLEANED:
        escaped = [orjson.dumps(known).decode()[1:-1] for known in matcher.anywhere] if column in _JSON else []
        query += f""" and (list_has_any(regexp_extract_all({column}, '[0-9A-Za-z_-]+'), $ids::varchar[])
            or len(list_filter($texts::varchar[], lambda t: contains({column}, t))) > 0
            or list_contains($whole::varchar[], {column}))"""
        params = {
            "ids": list(matcher.substitutes),
            "texts": matcher.anywhere + escaped,
            "whole": sorted(matcher.whole),
        }
    replaced = _replacement(table, column, type_, matcher)
    found = [row[0] for row in duck.execute(query, params).fetchall()]
    changed = [(old, new) for old in found if (new := replaced(old)) != old]
    if changed:
        duck.execute(
            f"""update {table} set {column} = w.new
            from (select unnest($old::{type_}[]) as old, unnest($new::{type_}[]) as new) as w
            where {table}.{column} = w.old""",
            {"old": [old for old, _ in changed], "new": [new for _, new in changed]},
        )


def _replacement(table: str, column: str, type_: str, matcher: Matcher) -> Callable[[object], object]:
    def in_json(change: Callable[[object], object]) -> Callable[[object], object]:
        def replaced(text: object) -> object:
            value = orjson.loads(str(text))
            changed = change(value)
            return text if changed == value else orjson.dumps(changed, option=orjson.OPT_SORT_KEYS).decode()

        return replaced

    if (table, column) in _CLEANED:
        return in_json(matcher.cleaned)
    if column in _JSON:
        return in_json(matcher.masked_in)
    if type_ == "VARCHAR[]":
        return matcher.masked_in
    if type_ == "BLOB":
        return lambda raw: matcher.masked(bytes(raw).decode("utf-8", "surrogateescape")).encode(  # type: ignore[call-overload]
            "utf-8", "surrogateescape"
        )
    return lambda text: matcher.masked(str(text))


def remove_texts(duck: duckdb.DuckDBPyConnection) -> None:
    """Reduce every text that was kept to what is stored without --keep-text: its length, its hash, the ids in it."""
    for kind in REVISION_TABLES.values():
        for name in (kind.name, staged_name(kind)):
            if kind.text_field:
                duck.execute(f"update {name} set content_text = null where content_text is not null")
            _reduce_leftovers(duck, name)


def _reduce_leftovers(duck: duckdb.DuckDBPyConnection, name: str) -> None:
    found = duck.execute(f"select rowid, leftovers from {name} where leftovers is not null")
    changed: dict[int, str] = {}
    while rows := found.fetchmany(10_000):
        for row, leftovers in rows:
            kept, fields = reduced(orjson.loads(leftovers), is_stored=True)
            if fields:
                changed[row] = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()
    if changed:
        duck.execute(
            f"""update {name} set leftovers = w.leftovers
            from (select unnest($rows) as row, unnest($texts) as leftovers) as w where w.row = {name}.rowid""",
            {"rows": list(changed), "texts": list(changed.values())},
        )


def kept_texts(duck: duckdb.DuckDBPyConnection) -> int:
    """Return how many documents have a text, or a field with one, that was kept."""
    total = 0
    for kind in REVISION_TABLES.values():
        for name in (kind.name, staged_name(kind)):
            total += len(_with_text(duck, name, kind))
    return total


def _with_text(duck: duckdb.DuckDBPyConnection, name: str, kind: RevisionTable) -> set[str]:
    found = set()
    if kind.text_field:
        rows = duck.execute(f"select distinct id from {name} where content_text is not null").fetchall()
        found |= {row[0] for row in rows}
    read = duck.execute(f"select id, leftovers from {name} where leftovers is not null")
    while rows := read.fetchmany(10_000):
        found |= {id_ for id_, leftovers in rows if reduced(orjson.loads(leftovers), is_stored=True)[1]}
    return found


def still_there(duck: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
    """Return how many of the forgotten documents each deployment still had when it was last looked at, by name."""
    parts = " union all ".join(
        f"""select r.deployment_no, r.revision_no from {kind.name} as r
        where r.component = '' and not r.deleted and {_is_forgotten()}"""
        for kind in REVISION_TABLES.values()
    )
    rows = duck.execute(
        f"""select d.name, count(*) from ({parts}) as g
        join deployment as d on d.deployment_no = g.deployment_no
        where g.revision_no not in (select e.revision_no from revision_end as e)
        group by all order by all"""
    ).fetchall()
    return dict(rows)
