"""``manage.py sample``: a photo batch and a text campaign at once, through the real engine."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from batches.commandline.finish import watch_or_leave
from batches.commandline.owner import DEMO_USER, find_owner
from batches.commandline.screen import console_of, page_of, plain
from batches.commandline.tables import all_succeeded, show_failures, show_messages, show_sample_photos
from batches.models import Batch
from batches.operations.messages.sms import build_sms_batch
from batches.operations.photos.rate_photos import build_photo_batch
from batches.samples.submission import message_payload, photo_payload
from batches.services import submit_batch
from providers.registry import resolve

PHOTOS = 25
LARGEST = 10_000


class Command(BaseCommand):
    """What bin/up runs to show that everything works."""

    help = "Rate sample photos and send sample texts, both through the sandbox. Exit code 0 when all succeeded."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose, and how many."""
        parser.add_argument("--user", metavar="NAME", default=DEMO_USER, help="default: %(default)s")
        parser.add_argument("--photos", type=int, metavar="N", default=PHOTOS, help="default: %(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        """Submit both, watch both, show both."""
        if not 1 <= options["photos"] <= LARGEST:
            raise CommandError(f"--photos must be between 1 and {LARGEST}.")
        require_sandbox()
        owner = find_owner(options["user"])
        console = console_of(self.stdout)
        ended = watch_or_leave(console, submit(console, owner.pk, options["photos"]))
        for batch, show in zip(ended, (show_sample_photos, show_messages), strict=True):
            console.print()
            show(console, batch)
            show_failures(console, batch)
            console.print(plain(f"Page: {page_of(batch)}"), soft_wrap=True)
        if not all(all_succeeded(batch) for batch in ended):
            sys.exit(1)


def require_sandbox() -> None:
    """A sample must not spend anybody's money or text anybody."""
    providers = (resolve(settings.DEFAULT_CHAT_PROVIDER, "chat"), resolve(settings.DEFAULT_SMS_PROVIDER, "sms"))
    real = [provider.alias for provider in providers if not provider.uses_sandbox]
    if real:
        raise CommandError(
            f"The sample runs on the sandbox only, and a key is set for {', '.join(real)}."
            " With it, use rate_photos and send_sms."
        )


def submit(console: Console, owner_id: int, photos: int) -> list[Batch]:
    """Both batches, the photos first."""
    with console.status("Rendering sample photos ..."):
        payload = photo_payload(owner_id, photos)
    return [
        submit_batch(owner_id=owner_id, new=build_photo_batch(owner_id, payload)),
        submit_batch(owner_id=owner_id, new=build_sms_batch(owner_id, message_payload())),
    ]
