"""The platform's own functions that write documents. They run no code of the app, and check less than one hopes."""

from __future__ import annotations

from typing import Any

from tests.deployment.errors import FunctionError
from tests.deployment.functions import Call, Registry

WRITE = "WriteData"
UNDEFINED = (
    "__CONVEX_PLACEHOLDER_undefined_I23atX0jcndVbFgXoQZffsih7eAqktCyFjgUuAeNBtfr3ySOljPSPSEOPFgprkdBO3zXNiGEJxmJ5ZFPc"
    "5C5qKesG80QRPvlJe8vgSxAt9feLTwxTg4PHfVwUaTEJU67FDwldWmTxp1guMPwxQ2jOuhEryTBf3mQ"
)


def _audit(call: Call, action: str, **metadata: Any) -> None:
    """Note what was done, in the same transaction."""
    component = call.component
    where = {"component_id": component.id if component.path else None, "component": component.path or None}
    call.backend.audit.write(action, where | metadata, call.identity, tx=call.tx, user_agent=call.user_agent)


def delete_documents(call: Call, args: dict[str, Any]) -> Any:
    """Delete by id alone. The table's name is only noted; a missing id undoes everything."""
    entries, most = args["toDelete"], call.backend.settings.delete_rows
    if len(entries) > most:
        text = f"You can't delete more than {most}. Try selecting fewer documents instead.."
        return {"success": False, "error": text}
    by_table: dict[str, list[str]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"id", "tableName"}:
            raise FunctionError("ArgumentValidationError: Value does not match validator.\nPath: .toDelete[0]")
        call.tx.delete(call.component, entry["id"])
        by_table.setdefault(entry["tableName"], []).append(entry["id"])
    for table, ids in by_table.items():
        _audit(call, "delete_documents", table=table, document_ids=ids)
    return {"success": True}


def clear_table_page(call: Call, args: dict[str, Any]) -> Any:
    """Delete the oldest documents of a table."""
    settings = call.backend.settings
    tablet = call.tx.tablet(call.component, args["tableName"])
    deleted: list[str] = []
    size, has_more = 0, False
    for revision in tablet.by_creation(call.tx.ts) if tablet else ():
        if len(deleted) >= settings.clear_rows or size >= 3_000_000:
            has_more = True
            break
        call.tx.delete(call.component, revision.id)
        deleted.append(revision.id)
        size += len(revision.body or b"")
    if deleted:
        _audit(call, "delete_documents", table=args["tableName"], document_ids=deleted)
    cursor = call.backend.seal.close("clear", deleted[-1:] or None)
    return {"deleted": float(len(deleted)), "hasMore": has_more, "continueCursor": cursor}


def add_document(call: Call, args: dict[str, Any]) -> Any:
    """Add documents under new ids, which are not told; ids that they bring are ignored."""
    documents, most = args["documents"], call.backend.settings.delete_rows
    if len(documents) > most:
        return {"success": False, "error": f"You can't add more than {most} documents at a time."}
    added = [call.tx.insert(call.component, args["table"], document) for document in documents]
    _audit(call, "add_documents", table=args["table"], document_ids=added)
    return {"success": True}


def patch_documents_fields(call: Call, args: dict[str, Any]) -> Any:
    """Patch documents, all of the table when no ids are given."""
    fields = {name: ... if value == UNDEFINED else value for name, value in args["fields"].items()}
    if "ids" in args:
        ids = args["ids"]
        for id_ in ids:
            if call.tx.get(call.component, id_) is None:
                raise FunctionError("Cannot read properties of null (reading '_id')")
    else:
        ids = [revision.id for revision in call.tx.scan(call.component, args["table"])]
    for id_ in ids:
        call.tx.patch(call.component, id_, fields)
    _audit(call, "update_documents", table=args["table"], document_ids=ids)
    return {"success": True}


def replace_document(call: Call, args: dict[str, Any]) -> Any:
    """Replace a document; its id and creation time stay."""
    if call.tx.get(call.component, args["id"]) is None:
        return {"success": False, "error": "Document does not exist."}
    call.tx.replace(call.component, args["id"], args["document"])
    table = call.tx.table_of(call.component, args["id"])
    _audit(call, "update_documents", table=table.name if table else None, document_ids=[args["id"]])
    return {"success": True}


def create_table(call: Call, args: dict[str, Any]) -> Any:
    call.backend.database.create_table(args["table"], call.component.path)
    _audit(call, "create_table", table=args["table"])
    return None


def install(registry: Registry) -> None:
    frontend = "_system/frontend"
    table = {"table": "string"}
    registry.mutation(f"{frontend}/deleteDocuments:default", {"toDelete": "array"}, op=WRITE)(delete_documents)
    registry.mutation(f"{frontend}/clearTablePage:default", {"tableName": "string", "cursor": "string|null"}, op=WRITE)(
        clear_table_page
    )
    registry.mutation(f"{frontend}/addDocument:default", table | {"documents": "array"}, op=WRITE)(add_document)
    registry.mutation(
        f"{frontend}/patchDocumentsFields:default", table | {"fields": "object", "ids": "array?"}, op=WRITE
    )(patch_documents_fields)
    registry.mutation(f"{frontend}/replaceDocument:default", {"id": "string", "document": "object"}, op=WRITE)(
        replace_document
    )
    registry.mutation(f"{frontend}/createTable:default", table, op=WRITE)(create_table)
