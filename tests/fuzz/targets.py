"""Everything that is fuzzed, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz import purging, server, settings, sources
from tests.fuzz.target import Target

TARGETS: Mapping[str, Target] = {
    target.name: target for target in (*sources.TARGETS, *settings.TARGETS, *purging.TARGETS, *server.TARGETS)
}
