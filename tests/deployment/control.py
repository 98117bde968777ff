"""The stand-in's own endpoints under /__control, for tests and rehearsals in another process: POST, JSON, no key.

clock      {"set_ms"?, "advance_ms"?, "rate"?}              -> {"now_ms"}
insert     {"table", "documents", "component"?}             -> {"ids"}
patch      {"table", "id", "fields", "component"?}
delete     {"table", "ids", "component"?}
replace    {"table", "documents", "component"?}             as an import that replaces does
drop       {"table", "component"?}
call       {"path", "args"}                                 -> {"value"}; any function, as the app itself
env        {"NAME": "value" or null}
push       {"added"?, "removed"?}                           notes that code was deployed
fault      see `faults.Fault`
unfault    {}                                               takes all faults away
settings   {"name": value}                                  see `settings.Settings`
record     {"path", "kind", "count"?, "execution_s"?, "error"?, "is_cached"?, "at_s"?}
expire     {}                                               every cursor of a data sync
forget     {}                                               metrics and logs, as a restart does
truth      {"ts"?}                                          -> {"ts", "documents": {"component/table": {id: ...}}}
requests   {}                                               -> [{"method", "path", "functions", "status", "bytes"}]
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import orjson

from tests.deployment import encoding
from tests.deployment.errors import FunctionError, HttpError
from tests.deployment.executions import Execution
from tests.deployment.settings import Settings
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.deployment import Deployment

PREFIX = "/__control/"


class Control:
    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._verbs = {name.removeprefix("_do_"): name for name in dir(self) if name.startswith("_do_")}

    def answer(self, request: Request) -> Response:
        verb = request.path.removeprefix(PREFIX)
        if request.method != "POST" or verb not in self._verbs:
            raise HttpError(404, "")
        body = orjson.loads(request.body or b"{}")
        try:
            value = getattr(self, self._verbs[verb])(body)
        except (KeyError, TypeError, ValueError, FunctionError, AssertionError) as error:
            raise HttpError(400, "BadControl", f"{type(error).__name__}: {error}") from error
        return json_response(encoding.encode(value, "export"))

    def _do_clock(self, body: dict[str, Any]) -> Any:
        clock = self._deployment.clock
        if "set_ms" in body:
            clock.set_ms(body["set_ms"])
        if "rate" in body:
            clock.run(body["rate"])
        clock.advance_ms(body.get("advance_ms", 0))
        return {"now_ms": clock.now_ms}

    def _do_insert(self, body: dict[str, Any]) -> Any:
        documents = encoding.decode(body["documents"])
        return {"ids": self._deployment.insert_many(body["table"], documents, body.get("component", ""))}

    def _do_patch(self, body: dict[str, Any]) -> Any:
        changes = encoding.decode(body["fields"])
        self._deployment.patch(body["table"], body["id"], changes, body.get("component", ""))

    def _do_delete(self, body: dict[str, Any]) -> Any:
        self._deployment.delete(body["table"], *body["ids"], component=body.get("component", ""))

    def _do_replace(self, body: dict[str, Any]) -> Any:
        self._deployment.replace_table(body["table"], encoding.decode(body["documents"]), body.get("component", ""))

    def _do_drop(self, body: dict[str, Any]) -> Any:
        self._deployment.drop_table(body["table"], body.get("component", ""))

    def _do_call(self, body: dict[str, Any]) -> Any:
        return {"value": self._deployment.call(body["path"], encoding.decode(body.get("args", {})))}

    def _do_env(self, body: dict[str, Any]) -> Any:
        self._deployment.set_env(**body)

    def _do_push(self, body: dict[str, Any]) -> Any:
        self._deployment.push(body.get("added", ()), body.get("removed", ()))

    def _do_fault(self, body: dict[str, Any]) -> Any:
        self._deployment.faults.from_json(body)

    def _do_unfault(self, body: dict[str, Any]) -> Any:
        self._deployment.faults.clear()

    def _do_settings(self, body: dict[str, Any]) -> Any:
        known = {field.name for field in fields(Settings)}
        for name, value in body.items():
            if name not in known:
                raise ValueError(f"unknown setting {name}")
            setattr(self._deployment.settings, name, set(value) if name == "absent" else value)

    def _do_record(self, body: dict[str, Any]) -> Any:
        count = body.pop("count", 1)
        for _ in range(count):
            self._deployment.record(Execution(**{"execution_s": 0.05, "at_s": 0.0} | body))

    def _do_expire(self, body: dict[str, Any]) -> Any:
        self._deployment.expire_cursors()

    def _do_forget(self, body: dict[str, Any]) -> Any:
        self._deployment.forget()

    def _do_truth(self, body: dict[str, Any]) -> Any:
        ts = body.get("ts") or self._deployment.now_ts()
        documents = self._deployment.at(ts)
        return {"ts": ts, "documents": {f"{component}/{table}": rows for (component, table), rows in documents.items()}}

    def _do_requests(self, body: dict[str, Any]) -> Any:
        return [
            {"method": r.method, "path": r.path, "functions": r.functions, "status": r.status, "bytes": r.sent_bytes}
            for r in self._deployment.requests
        ]
