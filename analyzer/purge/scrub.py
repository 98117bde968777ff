"""Taking references to deleted documents out of documents that stay: what would change, and how it is put back.

The platform can patch fields of one document in a transaction of its own, without any condition on what they hold. So
a scrub is safe only where nothing of the app's can write between its last read and its patch: while the deployment is
paused. It is planned, backed up, read again and proven like a deletion, and only whole values are taken out: a field
that is the id, or elements of an array that are. An id inside a text or an object is none, and blocks its group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from analyzer.convex import values
from analyzer.purge.live import Found, canonical

REMOVED = object()  # in place of a field's value: there is none
Fields = dict[str, Any]


def changes(document: Mapping[str, Any], fields: Collection[str], targets: Collection[str]) -> Fields:
    """Return the new values of the fields in which whole values are one of the targets; REMOVED for none at all."""
    found: Fields = {}
    for name in fields:
        value = document.get(name)
        if isinstance(value, str) and value in targets:
            found[name] = REMOVED
        elif isinstance(value, list) and any(isinstance(item, str) and item in targets for item in value):
            found[name] = [item for item in value if not (isinstance(item, str) and item in targets)]
    return found


def applied(document: Mapping[str, Any], changed: Mapping[str, Any]) -> Found:
    """Return the document as it will be."""
    after = {name: changed.get(name, value) for name, value in document.items()}
    after |= {name: value for name, value in changed.items() if name not in after}
    after = {name: value for name, value in after.items() if value is not REMOVED}
    line = canonical(after)
    return Found(after, line, hashlib.sha256(line).hexdigest())


def reverted(before: Mapping[str, Any], changed: Collection[str]) -> Fields:
    """Return the fields that bring a scrubbed document back to what it was."""
    return {name: before.get(name, REMOVED) for name in changed}


def encoded(changed: Mapping[str, Any], removed: str) -> Fields:
    """Return changes as the platform wants them; `removed` is its word for no value."""
    return {
        name: removed if value is REMOVED else values.encode(value, "convex_encoded_json")
        for name, value in changed.items()
    }
