"""bin/up: everything from an empty folder to a served system with a finished sample batch."""

from __future__ import annotations

import argparse
import contextlib
import resource
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from batchsite.launcher.folder import LauncherError
from batchsite.launcher.signals import Signals, Stopped
from batchsite.launcher.stack import Stack

ROOT = Path(__file__).resolve().parents[2]

EPILOG = """environment:
  DATABASE_URL, REDIS_URL  use these servers instead of starting embedded ones
  DEMO_API_KEY             the demo user's API key (generated, kept in the data folder and printed when unset)
  SANDBOX_PORT             the sandbox provider's port (default: port + 1)
  FLOWER_PORT              Flower's port (default: port + 2)
  FLOWER_BASIC_AUTH        Flower's user:password (generated, kept and printed when unset)
  BATCHSITE_PYTHON         the Python to build .venv with
"""


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="bin/up",
        description="Start the whole system on this machine, run one sample batch, and keep serving.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--port", type=port_number, default=8000, help="the web server's port (default: 8000)")
    options.add_argument(
        "--data", type=Path, default=ROOT / ".data", metavar="DIR", help="where everything is kept (default: .data)"
    )
    options.add_argument("--no-sample", action="store_true", help="do not run the sample batch")
    options.add_argument(
        "--once", action="store_true", help="run the sample batch, print its results, stop everything; exit 0 or 1"
    )
    options.add_argument("--workers", type=worker_count, default=2, metavar="N", help="worker processes (default: 2)")
    return options


def port_number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65533:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port between 1 and 65533")
    return int(text)


def worker_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 1 and 64")
    return int(text)


def up(arguments: list[str]) -> int:
    """The whole life of one stack; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.once and options.no_sample:
        parser().error("--once runs the sample batch; it does not go with --no-sample")
    console = Console(stderr=False, highlight=False, soft_wrap=True)
    signals = Signals()
    allow_many_connections()
    try:
        return Stack(options, console, signals).run()
    except LauncherError as error:
        console.print(f"[bold red]bin/up:[/] {escape(str(error))}")
        return 1
    except Stopped:
        return 0 if not options.once else 130


def allow_many_connections() -> None:
    """A worker holds thousands of calls in flight; the usual limit of 1,024 files is for interactive programs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
