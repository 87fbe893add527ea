"""Opt-out lists from elsewhere: a CSV file with a column of phone numbers."""

from __future__ import annotations

from batches.local_copies import local_path
from batches.operations.messages.sms_recipients import NOT_A_NUMBER, normalised_number
from batches.operations.payload import Problems
from batches.problems import InvalidInput, Problem
from batches.tables.csv_rows import csv_form, read_csv
from batches.tables.names import identity_text, plain_name
from batches.tables.rows import UnreadableTable

MOST_ROWS = 1_000_000
COLUMNS = frozenset({"phonenumber", "phone_number", "phone", "number", "mobile", "to"})


def numbers_in(owner_id: int, public_id: str) -> list[str]:
    """The numbers (E.164) of an uploaded file. Raises :class:`FileMissing`, and :class:`InvalidInput` with every row
    that has none: nothing of such a file is taken."""
    problems = Problems()
    numbers: list[str] = []
    try:
        with local_path(owner_id, public_id) as path:
            for row in read_csv(path, csv_form(path)):
                if problems.is_full or len(numbers) > MOST_ROWS:
                    break
                names = [name for name in row.cells if plain_name(name) in COLUMNS]
                if not names:
                    raise InvalidInput([Problem("fileId", "The file has no column phoneNumber.", "no_column")])
                number = normalised_number((identity_text(row.cells[names[0]]) or "").strip())
                if number is None:
                    problems.add(f"row.{row.number}", NOT_A_NUMBER, "invalid_phone_number")
                else:
                    numbers.append(number)
    except UnreadableTable as fault:
        raise InvalidInput([Problem("fileId", str(fault), fault.code)]) from None
    problems.raise_if_any()
    if len(numbers) > MOST_ROWS:
        raise InvalidInput([Problem("fileId", f"Must hold at most {MOST_ROWS} rows.", "too_many")])
    return numbers
