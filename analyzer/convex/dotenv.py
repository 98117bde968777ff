"""`.env` files as the `dotenv` package of Node reads them, because that is what the Convex CLI reads them with."""

from __future__ import annotations

import re

_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([\w.-]+)(?:[ \t]*=[ \t]*|:[ \t]+)
    ('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|[^#\r\n]*)?
    [ \t]*(?:\#[^\r\n]*)?$""",
    re.MULTILINE | re.VERBOSE | re.DOTALL | re.ASCII,
)


def parse(text: str) -> dict[str, str]:
    """Return the variables of a file; of a name that stands twice, the last.

    `NAME=value # comment`, `export NAME=value`, `NAME: value`; single, double or back quotes, inside which `#` and
    line breaks belong to the value; in double quotes `\\n` and `\\r` are line breaks. Other lines are left alone.
    """
    found: dict[str, str] = {}
    for match in _LINE.finditer(text.replace("\r\n", "\n").replace("\r", "\n")):
        value = (match[2] or "").strip()
        quote = value[:1]
        if quote in ("'", '"', "`") and len(value) > 1 and value.endswith(quote):
            value = value[1:-1]
            if quote == '"':
                value = value.replace("\\n", "\n").replace("\\r", "\r")
        found[match[1]] = value
    return found
