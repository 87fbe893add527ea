"""Invents the smallest plausible instance of a JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEEPEST = 12
SCALARS: dict[str, Any] = {"boolean": True, "null": None}
STRINGS_BY_FORMAT = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance(schema: Mapping[str, Any], known: Mapping[str, Any] | None = None) -> Any:
    """An instance of ``schema``; properties of the top object that ``known`` holds take its values."""
    if known is not None and isinstance(schema.get("properties"), Mapping):
        wanted = schema["properties"]
        return {name: known[name] if name in known else _invent(wanted[name], schema, 1) for name in wanted}
    return _invent(schema, schema, 0)


def _invent(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return None
    if "$ref" in schema:
        return _invent(_resolve(str(schema["$ref"]), root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for combination in ("anyOf", "oneOf", "allOf"):
        if schema.get(combination):
            return _invent(schema[combination][0], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        required = schema.get("required", properties)
        return {name: _invent(properties.get(name, {}), root, depth + 1) for name in required}
    if kind == "array":
        count = max(int(schema.get("minItems", 1)), 1 if schema.get("maxItems", 1) else 0)
        return [_invent(schema.get("items", {"type": "string"}), root, depth + 1) for _ in range(count)]
    if kind in {"integer", "number"}:
        return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    if kind in SCALARS:
        return SCALARS[kind]
    return _string(schema)


def _string(schema: Mapping[str, Any]) -> str:
    text = STRINGS_BY_FORMAT.get(schema.get("format", ""), "sandbox")
    text = text.ljust(int(schema.get("minLength", 0)), "x")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found
