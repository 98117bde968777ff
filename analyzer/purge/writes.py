"""Every request of a purge that changes a deployment. Nothing else of the tool may; only `apply` and `restore` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from analyzer.convex import functions
from analyzer.convex.client import Client
from analyzer.convex.permissions import IMPORT, WRITE_DATA
from analyzer.errors import FunctionFailed
from analyzer.purge import scrub
from analyzer.purge.plan_file import Planned

DELETE = "_system/frontend/deleteDocuments"
PATCH = "_system/frontend/patchDocumentsFields"
REMOVED_FIELD = (  # the platform's word for "no such field": what stands on the wire instead of JavaScript's undefined
    "__CONVEX_PLACEHOLDER_undefined_I23atX0jcndVbFgXoQZffsih7eAqktCyFjgUuAeNBtfr3ySOljPSPSEOPFgprkdBO3zXNiGEJxmJ5ZFPc"
    "5C5qKesG80QRPvlJe8vgSxAt9feLTwxTg4PHfVwUaTEJU67FDwldWmTxp1guMPwxQ2jOuhEryTBf3mQ"
)
PART_BYTES = 5 * 1024 * 1024  # least size of a part of an upload, the last one excepted


class Executor(Protocol):
    """Who deletes, or only pretends to."""

    is_real: bool

    def delete(self, documents: Sequence[Planned]) -> None:
        """Delete documents of the root in one transaction, all or none.

        raises  OutcomeUnknown when the answer was lost; FunctionFailed or ServerRefused when nothing happened
        """

    def patch(self, table: str, id_: str, changed: Mapping[str, Any]) -> None:
        """Change fields of one document of the root, see `scrub.changes`; raises like `delete`."""


class Deleting:
    """Deletes."""

    is_real = True

    def __init__(self, client: Client) -> None:
        self._client = client

    def delete(self, documents: Sequence[Planned]) -> None:
        """See `Executor`."""
        entries = [{"id": document.id, "tableName": document.table} for document in documents]
        answer = functions.mutation(self._client, DELETE, {"toDelete": entries}, permission=WRITE_DATA)
        if not isinstance(answer, dict) or answer.get("success") is not True:
            said = self._client.asked(DELETE).quote(answer.get("error", "") if isinstance(answer, dict) else "")
            fact = f"{self._client.origin} did not delete {len(documents)} documents: {said or 'it does not say why'}"
            raise FunctionFailed(fact, hint="nothing of this batch was deleted", reason="threw", message=said)

    def patch(self, table: str, id_: str, changed: Mapping[str, Any]) -> None:
        """See `Executor`."""
        args = {"table": table, "ids": [id_], "fields": scrub.encoded(changed, REMOVED_FIELD)}
        answer = functions.mutation(self._client, PATCH, args, permission=WRITE_DATA)
        if not isinstance(answer, dict) or answer.get("success") is not True:
            fact = f"{self._client.origin} did not change {table} {id_}"
            raise FunctionFailed(fact, reason="threw", message="")


class Pretending:
    """Deletes nothing: the dry run."""

    is_real = False

    def delete(self, documents: Sequence[Planned]) -> None:
        """Do nothing."""

    def patch(self, table: str, id_: str, changed: Mapping[str, Any]) -> None:
        """Do nothing."""


def start_import(client: Client, archive: bytes) -> str:
    """Upload an archive to be appended, and return the import's id; nothing is written before `perform_import`."""
    token = _field(client, client.change("/api/import/start_upload", permission=IMPORT), "uploadToken")
    parts = []
    for number, start in enumerate(range(0, len(archive), PART_BYTES), start=1):
        part = archive[start : start + PART_BYTES]
        path = f"/api/import/upload_part?uploadToken={quote(token, safe='')}&partNumber={number}"
        answer = client.change(path, part, permission=IMPORT, what="POST /api/import/upload_part")
        if not isinstance(answer, str):
            raise client.unexpected("POST /api/import/upload_part", "the token of a part", IMPORT)
        parts.append(answer)
    wanted = {"format": "zip", "mode": "append"}
    body: Mapping[str, Any] = {"import": wanted, "uploadToken": token, "partTokens": parts}
    return _field(client, client.change("/api/import/finish_upload", body, permission=IMPORT), "importId")


def perform_import(client: Client, import_id: str) -> None:
    """Let an import that waits for confirmation begin."""
    client.change("/api/perform_import", {"importId": import_id}, permission=IMPORT)


def _field(client: Client, answer: object, name: str) -> str:
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value:
        raise client.unexpected("POST /api/import", f"a {name}", IMPORT)
    return value
