"""Everything a deployment is, apart from HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.deployment import app, app_helpers, audit, environment, exporting, importing, system_reads, system_writes
from tests.deployment.audit import Audit
from tests.deployment.calls import Calls
from tests.deployment.clock import NS_PER_S
from tests.deployment.cursors import Seal
from tests.deployment.database import Database
from tests.deployment.environment import Environment
from tests.deployment.errors import HttpError
from tests.deployment.executions import Cache, Executions
from tests.deployment.exporting import Exports
from tests.deployment.faults import Faults
from tests.deployment.functions import Registry
from tests.deployment.importing import Imports
from tests.deployment.keys import KeyRing
from tests.deployment.metrics import Metrics
from tests.deployment.schemas import Schemas
from tests.deployment.settings import Settings
from tests.deployment.streaming import Streaming
from tests.deployment.sync import DataSync


class Backend:
    """The parts, each given the whole."""

    def __init__(self, settings: Settings, clock: Callable[[], int], seed: int = 0) -> None:
        self.settings = settings
        self.clock = clock
        self.seed = seed
        self.url = ""
        self.closing = threading.Event()
        self.database = Database(clock, seed)
        self.keys = KeyRing(settings, seed)
        self.faults = Faults(seed)
        self.seal = Seal(self.database.random_bytes(32))
        self.files: dict[str, bytes] = {}  # contents of _storage, by id
        self.registry = Registry()
        for module in (app, app_helpers, system_reads, system_writes, audit, environment, exporting, importing):
            module.install(self.registry)
        self.metrics = Metrics(self)
        self.cache = Cache(self)
        self.executions = Executions(self)
        self.audit = Audit(self)
        self.environment = Environment(self)
        self.calls = Calls(self)
        self.streaming = Streaming(self)
        self.sync = DataSync(self)
        self.schemas = Schemas(self)
        self.exports = Exports(self)
        self.imports = Imports(self)
        self._requests = 0
        self._written: tuple[int, int] = (0, 0)  # second, bytes written in it

    def request_id(self) -> str:
        """Return an id that no request had before."""
        self._requests += 1
        return f"{self._requests:016x}"

    def throttle(self, size: int) -> None:
        """Refuse a commit that writes more in a second than is allowed."""
        allowed = self.settings.write_bytes_per_s
        if allowed is None or not size:
            return
        second = self.clock() // NS_PER_S
        before = self._written[1] if self._written[0] == second else 0
        if before + size > allowed:
            raise HttpError(429, "TooManyWrites", "Too many writes per second. Your deployment is limited; try later.")
        self._written = (second, before + size)
