"""``manage.py send_sms FILE.csv --template "Hi {{name}}"``: text everybody in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console

from batches.api.estimates import estimate_shape
from batches.commandline.arguments import add_batch_arguments, batch_fields
from batches.commandline.estimates import show_estimate
from batches.commandline.finish import SMS_REPORT, finish, show_warnings
from batches.commandline.owner import find_owner
from batches.commandline.problems import refusal
from batches.commandline.recipients import RecipientFile, read_recipients
from batches.commandline.screen import console_of, plain
from batches.commandline.spreadsheet import require_writable
from batches.money.estimating.estimate import estimate
from batches.operations.messages.sms import build_sms_batch
from batches.options import NewBatch
from batches.problems import InvalidInput, Problem
from batches.services import submit_batch
from batches.templating import TemplateError, parse

MOST_RENDERED = 3


class Command(BaseCommand):
    """Reads and checks the whole file, submits one batch, shows how far it is, and prints what became of it."""

    help = "Send a text message to every row of a CSV file. Nothing is sent when anything in it is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, the template, and how the batch runs."""
        parser.add_argument("file", type=Path, metavar="FILE.csv")
        parser.add_argument("--template", required=True, metavar="TEXT", help='e.g. "Hi {{name}}"; names are columns')
        parser.add_argument("--number-column", metavar="NAME", help="the phone numbers' column (default: guessed)")
        parser.add_argument("--estimate", action="store_true", help="say what it would cost and take, send none")
        parser.add_argument("--dry-run", action="store_true", help="check everything, show the first texts, send none")
        add_batch_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """From the file to the table."""
        require_writable(options["csv"])
        owner = find_owner(options["user"])
        console = console_of(self.stdout)
        source = read_recipients(options["file"], options["number_column"], names_in(options["template"]))
        if options["estimate"]:
            found = estimate(owner.pk, self._payload(source, options), build_sms_batch)
            show_estimate(console, estimate_shape(found))
            return
        new = self._build(owner.pk, source, options)
        if options["dry_run"]:
            show_first(console, new)
            show_warnings(console, new.warnings, source.in_lines)
            return
        batch = submit_batch(owner_id=owner.pk, new=new)
        finish(console, batch, SMS_REPORT, options, in_own_words=source.in_lines)

    def _payload(self, source: RecipientFile, options: dict[str, Any]) -> dict[str, Any]:
        payload = {"text": options["template"], "recipients": source.recipients, **batch_fields(options)}
        payload.setdefault("name", options["file"].stem[:200])
        if options["provider"] is not None:
            payload["provider"] = options["provider"]
        return payload

    def _build(self, owner_id: int, source: RecipientFile, options: dict[str, Any]) -> NewBatch:
        try:
            return build_sms_batch(owner_id, self._payload(source, options))
        except InvalidInput as refused:
            raise refusal(refused.problems, source.where) from refused


def names_in(template: str) -> frozenset[str]:
    """The variables of the template; whoever typed it is told what is wrong with it."""
    try:
        return parse(template).names
    except TemplateError as error:
        raise refusal([Problem("text", str(error), "invalid_template")]) from error


def show_first(console: Console, new: NewBatch) -> None:
    """How the first messages will read."""
    template = parse(new.parameters["text"])
    console.print(plain(f"Dry run: {len(new.items)} messages would be sent by {new.provider}; the first of them:"))
    for item in new.items[:MOST_RENDERED]:
        console.print(plain(f"  {item.input['to']}: {template.render(item.input['variables'])}"), soft_wrap=True)
