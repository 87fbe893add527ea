"""Reads the Procfile: ``name: command`` lines, the same file that Heroku, Foreman and Honcho read."""

from __future__ import annotations

from pathlib import Path

from batchsite.launcher.folder import LauncherError


def read(path: Path) -> dict[str, str]:
    """Command per process name, in the file's order."""
    commands: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, colon, command = (part.strip() for part in text.partition(":"))
        if not colon or not name.isidentifier() or not command:
            raise LauncherError(f"{path} line {number}: expected 'name: command'.")
        if name in commands:
            raise LauncherError(f"{path} line {number}: {name} is there twice.")
        commands[name] = command
    return commands
