"""Results as pandas frames, for `analyzer.api`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def frame_of(items: Iterable[Any], names: Sequence[str]) -> pd.DataFrame:
    """Return a row an item with these of its fields; an enum as its value."""
    found = [{name: getattr(item, name) for name in names} for item in items]
    return frame_of_rows(
        [{name: getattr(value, "value", value) for name, value in row.items()} for row in found], names
    )


def frame_of_rows(rows: Sequence[dict[str, Any]], names: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a row a mapping; without any still with these columns."""
    import pandas as pd

    return pd.DataFrame(rows, columns=None if names is None else list(names))
