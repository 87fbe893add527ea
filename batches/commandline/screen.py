"""The terminal: one console per command, and texts that cannot disturb it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, cast

from django.conf import settings
from django.core.management.base import OutputWrapper
from django.urls import reverse
from rich.console import Console
from rich.text import Text

from batches.models import Batch

PLAIN_WIDTH = 120


def console_of(output: OutputWrapper) -> Console:
    """A console that writes to the command's own output, so that tests and callers can redirect it."""
    output.ending = ""  # rich writes its own line ends
    width = None if output.isatty() else PLAIN_WIDTH
    return Console(file=cast(IO[str], output), width=width, highlight=False)


def printable(text: object) -> str:
    """The text on one line without control characters: file names and models' answers may hold any."""
    return "".join(character if character.isprintable() else " " for character in str(text))


def plain(text: object, style: str = "") -> Text:
    """A cell of a table that is not read as markup."""
    return Text(printable(text), style=style)


def page_of(batch: Batch) -> str:
    """Where people watch the batch."""
    return f"{site()}{reverse('batch-detail', args=[batch.public_id])}"


def site() -> str:
    """The web server's address: as deployed, or the one bin/up serves on."""
    return settings.PUBLIC_URL.rstrip("/") or f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"


def say_submitted(console: Console, batch: Batch) -> None:
    """Id and page of a new batch."""
    console.print(plain(f"Batch {batch.public_id}: {batch.total} items, provider {batch.provider}."))
    console.print(plain(f"Page: {page_of(batch)}"), soft_wrap=True)


def say_goes_on(console: Console, batches: Sequence[Batch]) -> None:
    """After Ctrl-C: the batch does not need this terminal."""
    for batch in batches:
        console.print(plain(f"Stopped watching. Batch {batch.public_id} goes on without this terminal."))
        console.print(plain(f"  See or cancel it: {page_of(batch)}"), soft_wrap=True)
        console.print(plain(f"  By API: POST {site()}/api/batch/{batch.public_id}/cancel"), soft_wrap=True)
