"""Adds the answers every operation can give when it refuses, and keeps two rooms' equally named answers apart."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

EVERY = {
    "400": "The request is not valid; `field` names what to correct",
    "401": "Not signed in, or the token is unknown or expired",
    "403": "Signed in, but not allowed",
    "404": "No such thing",
    "405": "Method not allowed",
    "406": "Format not available",
    "429": "Too many requests",
    "503": "The chain or the database cannot be reached; nothing was changed",
}
WRITING = {
    "409": "The state of things does not allow it now; the message says which",
    "415": "Only application/json is read",
    "422": "The input breaks a rule, or an Idempotency-Key was reused with another body",
}
METHODS = ("get", "post", "put", "patch", "delete")
ERROR = {
    "type": "object",
    "description": "The one shape of every error.",
    "properties": {
        "code": {"type": "string", "description": "stable, for programs"},
        "message": {"type": "string", "description": "one sentence, for people"},
        "field": {"type": "string", "nullable": True, "description": "dotted path of the input at fault"},
    },
    "required": ["code", "message", "field"],
}


class RoomSchema(AutoSchema):
    """Names each component after its room: yields and maturity may both have an Initiated."""

    def get_serializer_name(self, serializer: serializers.BaseSerializer[Any], direction: Any) -> str:
        room = type(serializer).__module__.partition(".")[0].capitalize()
        return f"{room}{type(serializer).__name__}"


def document_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A drf-spectacular postprocessing hook. What a view documents itself stays as it is."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = ERROR
    for operations in result["paths"].values():
        for method in METHODS:
            if method in operations:
                _complete(operations[method]["responses"], writing=method != "get")
    return result


def _complete(responses: dict[str, Any], *, writing: bool) -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for status, description in (EVERY | WRITING if writing else EVERY).items():
        responses.setdefault(status, {"description": description, "content": content})
