"""Environment variables: setting one deletes its row and makes it anew, so that its age is that of the value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.deployment.errors import HttpError, bad_body
from tests.deployment.functions import Call, Registry
from tests.deployment.keys import SYSTEM, Identity
from tests.deployment.transaction import Transaction
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

TABLE = "_environment_variables"
MOST_VARIABLES, MOST_BYTES, VALUE_BYTES, NAME_LENGTH = 512, 512 * 1024, 8 * 1024, 256
_NAME = re.compile(r"[a-zA-Z_]+[a-zA-Z0-9_]*")


class Environment:
    """The variables of a deployment."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def rows(self, tx: Transaction | None = None) -> list[dict[str, Any]]:
        """Return name, value and time of every variable, by name."""
        database = self.backend.database
        with database.lock:
            tablet = database.components[""].tables[TABLE].tablet
            assert tablet is not None
            found = [r.document for r in tablet.by_id(tx.ts if tx else database.latest_ts())]
        return sorted(found, key=lambda row: str(row["name"]))

    def value(self, name: str, tx: Transaction | None = None) -> str | None:
        return next((row["value"] for row in self.rows(tx) if row["name"] == name), None)

    def set(self, changes: dict[str, str | None], identity: Identity = SYSTEM, user_agent: str = "") -> None:
        """Set variables, or with None take them away, in one transaction."""
        database = self.backend.database
        with database.lock:
            tx = Transaction(database, database.latest_ts())
            root = database.components[""]
            there = {row["name"]: row for row in self.rows()}
            for name, value in changes.items():
                verb = None if value is None else "create"
                if name in there:
                    tx.delete(root, there[name]["_id"])
                    verb = "delete" if value is None else "update"
                if value is not None:
                    tx.insert(root, TABLE, {"name": name, "value": value})
                if verb:
                    action, metadata = f"{verb}_environment_variable", {"variable_name": name}
                    self.backend.audit.write(action, metadata, identity, tx=tx, user_agent=user_agent)
            after = {name: row["value"] for name, row in there.items()} | changes
            _check({name: value for name, value in after.items() if value is not None})
            tx.commit()

    # ---- endpoints ---------------------------------------------------------------------------------------------

    def list_variables(self, request: Request, identity: Identity) -> Response:
        return json_response({"environmentVariables": {row["name"]: row["value"] for row in self.rows()}})

    def update(self, request: Request, identity: Identity) -> Response:
        """Serve update_environment_variables: an empty answer."""
        changes = request.json().get("changes")
        if not isinstance(changes, list) or any(not isinstance(c, dict) or "name" not in c for c in changes):
            raise bad_body("Failed to deserialize the JSON body: missing field `changes`")
        wanted = {change["name"]: change.get("value") for change in changes}
        self.set(wanted, identity, request.headers.get("user-agent", ""))
        return Response()


def _check(variables: dict[str, str]) -> None:
    """Refuse names and values that the platform would not keep.

    raises  HttpError
    """
    for name, value in variables.items():
        if not _NAME.fullmatch(name):
            raise HttpError(400, "EnvironmentVariableNameInvalid", f'Environment variable name "{name}" is invalid.')
        if len(name) > NAME_LENGTH:
            raise HttpError(400, "EnvironmentVariableNameTooLong", "Environment variable name is too long.")
        if len(value.encode()) > VALUE_BYTES:
            raise HttpError(400, "EnvironmentVariableValueTooLarge", "Environment variable value is too large.")
    if len(variables) > MOST_VARIABLES:
        raise HttpError(400, "EnvVarLimitMet", "Environment variable limit met.")
    if sum(len(name) + len(value.encode()) for name, value in variables.items()) > MOST_BYTES:
        raise HttpError(400, "EnvVarTotalSizeLimitMet", "Environment variables are too large together.")


def _get(call: Call, args: dict[str, Any]) -> Any:
    built_in = {"CONVEX_CLOUD_URL": call.backend.url, "CONVEX_SITE_URL": call.backend.url + "/http"}
    value = built_in.get(args["name"]) or call.env(args["name"])
    return None if value is None else {"name": args["name"], "value": value}


def install(registry: Registry) -> None:
    path, view = "_system/cli/queryEnvironmentVariables", "ViewEnvironmentVariables"
    registry.query(f"{path}:default", {}, op=view)(lambda call, _: call.backend.environment.rows(call.tx))
    registry.query(f"{path}:get", {"name": "string"}, op=view)(_get)
