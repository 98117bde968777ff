"""What forgetting would do, and did, for reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analyzer.units import count, visible


def forgetting(
    documents: Mapping[str, int],
    kept_texts: int,
    backups: Mapping[str, int],
    beside: Iterable[str],
    out_of_reach: Iterable[str],
    *,
    is_done: bool,
) -> str:
    """Return what goes, or went, and what is out of reach.

    documents     by table
    kept_texts    documents whose text goes
    backups       documents that go from each file
    beside        files that are removed
    out_of_reach  one clause each
    """
    word = "forgotten" if is_done else "to be forgotten"
    lines = [f"{word}: {count(n, 'document')} of {visible(table)}" for table, n in documents.items()]
    if kept_texts:
        lines.append(f"{word}: the text of {count(kept_texts, 'document')}")
    lines += [f"{word}: {count(n, 'document')} in {visible(path)}" for path, n in backups.items() if n]
    lines += [f"{'removed' if is_done else 'to be removed'}: {visible(name)}" for name in beside]
    lines += [f"out of reach: {visible(what)}" for what in out_of_reach]
    return "\n".join(lines)
