"""A process of its own that reads one table: ``python -m batches.tables.unpack``.

Takes a JSON object on its standard input (see :func:`batches.tables.isolation.cut_table`), writes the rows to its
``output`` and one JSON object to its standard output.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batches.tables.child import answer_request
from batches.tables.chunks import CutTable, Cutter, file_digest
from batches.tables.reading import ReadingOptions, open_table


def unpack(request: dict[str, Any]) -> dict[str, Any]:
    """Read the table and cut it into chunks. Raises :class:`UnreadableTable`."""
    path = Path(request["path"])
    table = open_table(path, ReadingOptions(**request["options"]))
    with Path(request["output"]).open("wb") as output:
        cutter = Cutter(output, **request["cutting"])
        chunks = cutter.cut(table.rows)
    table_cut = CutTable(
        columns=cutter.columns,
        rows=sum(chunk.rows for chunk in chunks),
        chunks=chunks,
        digest=file_digest(path),
        typed=table.typed,
        warnings=table.warnings,
    )
    return table_cut.to_json()


if __name__ == "__main__":
    answer_request(unpack)
