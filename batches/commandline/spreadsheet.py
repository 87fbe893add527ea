"""CSV files that people open in a spreadsheet: whole or not there, and no cell of them is run as a formula."""

from __future__ import annotations

import csv
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from django.core.management.base import CommandError

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def require_writable(path: Path | None) -> None:
    """Refuse before anything was submitted what could not be written after it."""
    if path is None:
        return
    folder = path.resolve().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise CommandError(f"--csv: cannot write {path}: its folder must exist and be writable.")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Write everything beside the file, then put it in its place; returns how many rows there are."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    count = 0
    try:
        with part.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            for row in rows:
                writer.writerow([safe_cell(cell) for cell in row])
                count += 1
        part.replace(path)
    except OSError as error:
        raise CommandError(f"--csv: cannot write {path}: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def safe_cell(cell: object) -> object:
    """A text that a spreadsheet would take for a formula gets a quote in front; a plain number is left alone."""
    if isinstance(cell, str) and cell.startswith(_DANGEROUS) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
