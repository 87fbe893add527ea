"""``manage.py rate_photos FOLDER``: rate every photo of a folder, or every image listed in a file of JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from batches.commandline.arguments import add_batch_arguments, batch_fields
from batches.commandline.finish import PHOTO_REPORT, finish
from batches.commandline.owner import find_owner
from batches.commandline.photos import Stored, StoredList, StoredPhotos, find_files
from batches.commandline.problems import refusal
from batches.commandline.screen import console_of, plain
from batches.commandline.spreadsheet import require_writable
from batches.models import Batch
from batches.operations.photos.rate_photos import build_photo_batch
from batches.problems import InvalidInput
from batches.services import submit_batch
from batches.states import ECONOMY

MOST_NAMED = 10


class Command(BaseCommand):
    """Stores the photos, submits one batch, shows how far it is, and prints the ratings."""

    help = (
        "Rate all JPEG, PNG, WebP and GIF photos of a folder, or the images of a .jsonl file (an object with id and url"
        " per line). Exit code 0 when every one was rated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The folder, what to ask, and how the batch runs."""
        parser.add_argument("folder", type=Path, metavar="FOLDER")
        parser.add_argument("--recursive", action="store_true", help="the folders inside it as well")
        parser.add_argument("--prompt", metavar="TEXT", help="what to ask about each photo")
        parser.add_argument("--system-prompt", metavar="TEXT", help="who the model is to be")
        parser.add_argument(
            "--economy", action="store_true", help="by the provider's own batch API: half the price, within a day"
        )
        parser.add_argument("--shoot", metavar="ID", help="the shoot's id (default: the folder's name)")
        add_batch_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """From the folder to the table."""
        require_writable(options["csv"])
        owner = find_owner(options["user"])
        console = console_of(self.stdout)
        stored: Stored
        if options["folder"].is_file():
            stored = StoredList.of(owner.pk, options["folder"])
        else:
            files = find_files(options["folder"], recursive=options["recursive"])
            stored = self._store(console, owner.pk, options["folder"], files)
        batch = self._submit(owner.pk, stored, options)
        finish(console, batch, PHOTO_REPORT, options)

    def _store(self, console: Console, owner_id: int, folder: Path, files: Sequence[Path]) -> StoredPhotos:
        state = StoredPhotos()
        try:
            with console.status("Storing photos ...") as status:
                for count, path in enumerate(files, start=1):
                    state.store(owner_id, folder, path)
                    status.update(f"Storing photos ... {count}/{len(files)}")
        except BaseException:
            state.discard()
            raise
        show_skipped(console, state)
        if not state.photos:
            raise CommandError(f"There is no JPEG, PNG, WebP or GIF image in {folder}. {self._hint(files)}".strip())
        return state

    def _hint(self, files: Sequence[Path]) -> str:
        return "" if files else "It has no files; --recursive looks into the folders inside it."

    def _submit(self, owner_id: int, stored: Stored, options: dict[str, Any]) -> Batch:
        shoot = options["shoot"] or options["folder"].resolve().name or "photos"
        payload = {**stored.payload(), "shootId": shoot, **batch_fields(options)}
        if options["economy"]:
            payload["mode"] = ECONOMY
        for option, field in (("provider", "providerId"), ("prompt", "prompt"), ("system_prompt", "systemPrompt")):
            if options[option] is not None:
                payload[field] = options[option]
        try:
            return submit_batch(owner_id=owner_id, new=build_photo_batch(owner_id, payload))
        except InvalidInput as refused:
            stored.discard()
            raise refusal(refused.problems) from refused
        except BaseException:
            stored.discard()
            raise


def show_skipped(console: Console, state: StoredPhotos) -> None:
    """Name what was passed over."""
    for name, reason in list(state.skipped.items())[:MOST_NAMED]:
        console.print(plain(f"Skipped {name}: {reason}", "yellow"))
    if len(state.skipped) > MOST_NAMED:
        console.print(plain(f"... and {len(state.skipped) - MOST_NAMED} more files that are no images", "yellow"))
