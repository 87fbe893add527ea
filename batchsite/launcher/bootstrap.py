"""Makes .venv and installs the pinned packages, then becomes the command that was asked for.

Runs on a bare Python, before anything is installed: standard library only, and nothing of this project.
Usage: bootstrap.py REQUIREMENTS [arguments for .venv's python ...]
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

NO_PIP = """Python's venv module cannot install pip here, and no other pip was found.
On Debian and Ubuntu: apt install python3-venv. Elsewhere: install pip or virtualenv for this Python."""


def main(requirements: str, arguments: list[str]) -> None:
    signal.signal(signal.SIGTERM, interrupt)
    try:
        python = ready_environment(ROOT / ".venv", ROOT / requirements)
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"Setting up .venv failed: {error}")
    if arguments:
        # The module is found through the path, so that the caller's working folder stays what it was.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        os.execv(python, [str(python), *arguments])  # noqa: S606  one process from here on: it gets the signals


def interrupt(*_: object) -> None:
    """A stopped start takes its pip along, as Ctrl-C does."""
    raise KeyboardInterrupt


def ready_environment(folder: Path, requirements: Path) -> Path:
    """The Python of a virtual environment that holds exactly what ``requirements`` pins."""
    python = folder / "bin" / "python"
    stamp = folder / f".{requirements.stem}.sha256"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if is_current(python, stamp, digest):
        return python
    with one_at_a_time(folder.parent):
        if not is_current(python, stamp, digest):
            stamp.unlink(missing_ok=True)
            if not works(python):
                create(folder)
            install(python, requirements)
            stamp.write_text(digest)
    return python


def is_current(python: Path, stamp: Path, digest: str) -> bool:
    return python.exists() and stamp.exists() and stamp.read_text() == digest


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Two starts at once must not install into each other. pip inherits the lock, so a killed start keeps it too."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is installing the packages; waiting for it.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def works(python: Path) -> bool:
    """A half-made environment, or one whose Python was removed, does not."""
    return succeeds([str(python), "-m", "pip", "--version"])


def create(folder: Path) -> None:
    say(f"Creating {folder.name} with Python {sys.version.split()[0]}.")
    base = sys.executable
    if succeeds([base, "-m", "venv", "--clear", str(folder)]):
        return
    # Debian splits ensurepip off; another pip can still fill the environment.
    if succeeds([base, "-m", "virtualenv", "--clear", str(folder)]):
        return
    borrowed = [base, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "pip"]
    if succeeds([base, "-m", "venv", "--clear", "--without-pip", str(folder)]) and succeeds(borrowed):
        return
    sys.exit(NO_PIP)


def install(python: Path, requirements: Path) -> None:
    say(f"Installing the packages of {requirements.name} (first start only, about a minute) ...")
    started = time.monotonic()
    options = ["-qq", "--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    pinned = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(requirements)]
    run([str(python), "-m", "pip", "install", *options, *pinned])
    say(f"Packages are ready after {time.monotonic() - started:.0f} s.")


def succeeds(command: list[str]) -> bool:
    try:
        subprocess.run(command, check=True, capture_output=True, close_fds=False)
    except (subprocess.CalledProcessError, OSError):
        return False
    return True


def run(command: list[str]) -> None:
    """Its errors are shown (-qq), its advice is not: the environment is our own, also as root."""
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    subprocess.run(command, check=True, close_fds=False, env=environment)


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except KeyboardInterrupt:
        sys.exit(130)
