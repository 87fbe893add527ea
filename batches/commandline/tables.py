"""Results and failures as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, F, IntegerField, Min, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batches.commandline.screen import plain
from batches.models import Batch, Item
from batches.states import BatchStatus, ItemStatus
from batches.visibility import ENDED_BADLY

MOST_ROWS = 40
COMPACT_TAGS = 3
MOST_FAILURE_KINDS = 20
CSV_CHUNK = 2_000
STYLES = {name: name for name in ("red", "yellow", "green", "blue")} | {"purple": "magenta"}
PHOTO_COLUMNS = ("filename", "status", "starRating", "colorLabel", "title", "description", "tags", "error")
SMS_COLUMNS = ("number", "status", "segments", "error")


def all_succeeded(batch: Batch) -> bool:
    """Whether everything that was wanted was done."""
    return batch.status == BatchStatus.COMPLETED and batch.succeeded == batch.total


def show_photos(console: Console, batch: Batch, *, compact: bool = False) -> None:
    """The best photos first. ``compact`` leaves the title out, so that a row fits a narrow terminal."""
    best = batch.items.filter(status=ItemStatus.SUCCEEDED).order_by(F("quality").desc(nulls_last=True), "position")
    rows = list(best[:MOST_ROWS])
    if not rows:
        return
    table = Table(title="Ratings, best first", title_justify="left", box=SIMPLE_HEAD if compact else ROUNDED)
    table.pad_edge = not compact
    table.add_column("Photo", overflow="fold")
    table.add_column("Stars", no_wrap=True)
    table.add_column("Label", no_wrap=True)
    if not compact:
        table.add_column("Title", overflow="fold")
    table.add_column("Seen" if compact else "Tags", overflow="fold")
    for item in rows:
        table.add_row(*_photo_cells(item, compact=compact))
    console.print(table)
    if batch.succeeded > len(rows):
        hint = "" if compact else "; --csv OUT writes all of them"
        console.print(plain(f"... and {batch.succeeded - len(rows)} more{hint}."))


def show_sample_photos(console: Console, batch: Batch) -> None:
    """The same for the sample of a first run."""
    show_photos(console, batch, compact=True)


def _photo_cells(item: Item, *, compact: bool) -> list[Text]:
    rating: dict[str, Any] = item.result or {}
    label, stars = str(rating.get("colorLabel", "")), int(rating.get("starRating", 0))
    tags: list[str] = rating.get("tags", [])
    title = [] if compact else [plain(rating.get("title", ""))]
    return [
        plain(item.input.get("filename", item.key)),
        plain("★" * stars + "☆" * (5 - stars), "yellow"),
        plain(label, STYLES.get(label, "")),
        *title,
        plain(", ".join(tags[:COMPACT_TAGS] if compact else tags)),
    ]


def show_messages(console: Console, batch: Batch) -> None:
    """How many texts ended how."""
    said = KeyTextTransform("status", "result")
    segments = Sum(Cast(KeyTextTransform("segments", "result"), IntegerField()))
    groups = batch.items.order_by().values("status").annotate(said=said, count=Count("pk"), segments=segments)
    table = Table(title=f"Text messages: {batch.total}", title_justify="left", box=ROUNDED)
    for heading in ("Status", "Provider says", "Messages", "Segments"):
        table.add_column(heading, justify="right" if heading in {"Messages", "Segments"} else "left")
    for group in groups.order_by("status", "said"):
        table.add_row(
            plain(group["status"]), plain(group["said"] or ""), str(group["count"]), str(group["segments"] or "")
        )
    console.print(table)


def show_failures(console: Console, batch: Batch) -> None:
    """What did not succeed, by category; nothing where everything did."""
    bad = batch.items.exclude(status=ItemStatus.SUCCEEDED).order_by()
    groups = bad.values("status", "error_category", "error_code").annotate(
        count=Count("pk"), example=Min("error_message")
    )
    rows = list(groups.order_by("-count", "error_category", "error_code")[:MOST_FAILURE_KINDS])
    if batch.error:
        console.print(plain(batch.error, "red"))
    if not rows:
        return
    table = Table(
        title=f"Not succeeded: {batch.total - batch.succeeded} of {batch.total}", title_justify="left", box=ROUNDED
    )
    for heading in ("Items", "Status", "Category", "Code", "For example"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "Items" else "left")
    for row in rows:
        cells = (plain(row[name] or "") for name in ("status", "error_category", "error_code", "example"))
        table.add_row(str(row["count"]), *cells)
    console.print(table)


def photo_rows(batch: Batch) -> Iterator[list[object]]:
    """Every photo for the CSV file, in the order of the folder."""
    for item in _items(batch):
        rating: dict[str, Any] = item.result or {}
        row = [rating.get(name, "") for name in ("starRating", "colorLabel", "title", "description")]
        tags = ", ".join(rating.get("tags", []))
        yield [item.input.get("filename", item.key), item.status, *row, tags, _error(item)]


def sms_rows(batch: Batch) -> Iterator[list[object]]:
    """Every recipient for the CSV file, in the order of the file they came from."""
    for item in _items(batch):
        result: dict[str, Any] = item.result or {}
        yield [item.input.get("to", ""), item.status, result.get("segments", ""), _error(item)]


def _items(batch: Batch) -> Iterator[Item]:
    return batch.items.order_by("position").iterator(chunk_size=CSV_CHUNK)


def _error(item: Item) -> str:
    return f"{item.error_category}: {item.error_message}" if item.status in ENDED_BADLY else ""
