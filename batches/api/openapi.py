"""The OpenAPI schema of each operation, put together from :mod:`batches.api.documentation`.

REST framework's own means describe serializers, of which there are none here: bodies are read by hand. So the whole of
an operation is written from its description, and drf-spectacular does the rest: the document, its checks, its page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import SAFE_METHODS

from batches.api.documentation import DESCRIPTIONS, Description, Parameter
from batches.api.documentation.descriptions import Schema, plain, schema_like
from batches.api.documentation.memories import MEMORY_DESCRIPTIONS

if TYPE_CHECKING:
    from drf_spectacular.plumbing import ComponentRegistry

JSON = "application/json"
ERROR_NAMES = {
    400: "The request is not valid; every problem in it is named, and nothing was stored.",
    401: "No key, or not one that is valid.",
    403: "The key does not have the scope.",
    404: "There is no such thing of yours.",
    409: "Not in this status, or the Idempotency-Key was used for something else.",
    413: "The body is larger than is allowed.",
    415: "The body is of another media type.",
    429: "Too many requests; `Retry-After` says when the next one may come.",
    503: "The database does not answer.",
}
ERROR_EXAMPLE = {
    "success": False,
    "error": "The request is not valid: 1 problem.",
    "details": {"errors": [{"path": "field.name", "message": "Validation error message", "code": "invalid_type"}]},
}
ID_SCHEMA: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}


class DescribedSchema(AutoSchema):
    """One operation, as its description has it."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> dict[str, Any] | None:
        """The operation object; None keeps what is not described out of the document."""
        name = f"{method} {path}"
        description = DESCRIPTIONS.get(name) or MEMORY_DESCRIPTIONS.get(name)
        if description is None:
            return None
        names = re.findall(r"{(\w+)}", path)
        operation: dict[str, Any] = {
            "operationId": f"{method.lower()}{''.join(part.title() for part in re.findall(r'[A-Za-z0-9]+', path))}",
            "summary": description.summary,
            "tags": [description.tag],
            "security": [] if description.is_open else [{"apiKey": []}, {"session": []}],
            "parameters": [
                *({"name": name, "in": "path", "required": True, "schema": ID_SCHEMA} for name in names),
                *(_parameter(one) for one in description.parameters),
            ],
            "responses": self._answers(description, method, has_id=bool(names)),
        }
        if description.details:
            operation["description"] = description.details
        if body := _body(description):
            operation["requestBody"] = body
        return operation

    @staticmethod
    def _answers(description: Description, method: str, *, has_id: bool) -> dict[str, Any]:
        answers = {
            str(status): _answer(example, description.media_type) for status, example in description.answers.items()
        }
        for status in sorted(_error_statuses(description, method, has_id=has_id)):
            example = description.error or ERROR_EXAMPLE
            content = {JSON: {"schema": schema_like(example), "example": plain(example)}}
            answers[str(status)] = {"description": ERROR_NAMES[status], "content": content}
        return answers


def _error_statuses(description: Description, method: str, *, has_id: bool) -> set[int]:
    statuses = {503, *description.statuses} | (set() if description.is_open else {401, 403})
    if description.parameters or description.body or description.form:
        statuses.add(400)
    if has_id:
        statuses.add(404)
    if method not in SAFE_METHODS:
        statuses |= {400, 413, 415}
    return statuses - description.answers.keys()


def _answer(example: Any, media_type: str) -> dict[str, Any]:
    if media_type == JSON and example is None:
        return {"description": "It was done; there is nothing to say."}
    if media_type != JSON:
        return {
            "description": "Its bytes.",
            "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
        }
    content = {JSON: {"schema": schema_like(example), "example": plain(example)}}
    return {"description": "It was done.", "content": content}


def _parameter(one: Parameter) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": one.name, "in": one.place, "required": False, "schema": one.schema}
    return shown | ({"description": one.description} if one.description else {})


def _body(description: Description) -> dict[str, Any] | None:
    """Of a DELETE as well, which drf-spectacular leaves out."""
    if description.form is not None:
        return {"required": True, "content": {"multipart/form-data": {"schema": description.form}}}
    if description.body is None:
        return None
    content: dict[str, Any] = {"schema": description.body}
    if description.body_example is not None:
        content["example"] = description.body_example
    return {"required": description.body_required, "content": {JSON: content}}


Endpoint = tuple[str, str, str, Any]


def without_slashes(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Every route is served with and without a slash at its end; one spelling is enough to know."""
    return [(path.rstrip("/"), regex, method, view) for path, regex, method, view in endpoints]
