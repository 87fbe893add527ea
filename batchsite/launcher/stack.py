"""One running stack: servers, preparation, processes, the sample, and the way down."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.markup import escape

from batchsite.launcher import children, procfile
from batchsite.launcher.folder import DataFolder, LauncherError, is_free, tail
from batchsite.launcher.postgres import Postgres
from batchsite.launcher.readiness import readiness
from batchsite.launcher.redis import Redis
from batchsite.launcher.signals import Signals, Stopped
from batchsite.launcher.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0
# Four deaths before the first "ready" are no slow start.
HOPELESS_DEATHS = 4


SHARED = (
    *("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SANDBOX_URL", "SANDBOX_PORT", "PORT", "PUBLIC_URL"),
    *("BATCHSITE_DATA", "CREDENTIAL_KEYS"),
)
"""What a command in another terminal needs to work on the running stack."""


class Stack:
    """One data folder, its servers and its processes."""

    def __init__(self, options: argparse.Namespace, console: Console, signals: Signals) -> None:
        self.options = options
        self.console = console
        self.signals = signals
        self.data = DataFolder(options.data)
        self.environment: dict[str, str] = {}
        self.supervisor: Supervisor | None = None
        self.servers: list[Postgres | Redis] = []

    def run(self) -> int:
        with contextlib.ExitStack() as cleanup:
            self.environment = base_environment(self.options)
            require_free_ports(self.environment)
            self.data.open()
            cleanup.callback(self.data.close)
            cleanup.callback(self.data.withdraw_environment)
            self.environment |= kept_settings(self.data)
            self._start_servers(cleanup)
            self._prepare()
            self._start_processes(cleanup)
            self._wait_until_ready()
            return self._serve()

    def _start_servers(self, cleanup: contextlib.ExitStack) -> None:
        servers: dict[str, type[Postgres | Redis]] = {"DATABASE_URL": Postgres, "REDIS_URL": Redis}
        for variable, kind in servers.items():
            self.signals.check()
            if self.environment.get(variable):
                self._say(f"{variable} is set: using that server.")
                continue
            server = kind(self.data.path / kind.__name__.lower())
            cleanup.callback(self._stop_server, server)
            self.environment[variable] = server.start()
            self.servers.append(server)
            self._say(server.description)

    def _stop_server(self, server: Postgres | Redis) -> None:
        server.stop(immediate=self.signals.insisted)

    def _prepare(self) -> None:
        self.data.share_environment({name: self.environment[name] for name in SHARED if name in self.environment})
        self._manage("migrate", "--noinput", "--verbosity", "0")
        self._manage("create_demo")

    def _manage(self, *arguments: str) -> None:
        log = self.data.logs / "setup.log"
        with log.open("wb") as output:
            code = self._wait_for(self._start_command(arguments, output=output))
        if code:
            raise LauncherError(f"manage.py {arguments[0]} failed with code {code}:\n{tail(log, 40)}")

    def _start_command(self, arguments: Sequence[str], output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        return children.start(
            [sys.executable, "manage.py", *arguments],
            environment=self.environment,
            output=output,
            folder=ROOT,
            own_group=output is not None,
        )

    def _wait_for(self, process: subprocess.Popen[bytes]) -> int:
        try:
            while process.poll() is None:
                self._tick()
        except Stopped:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
            raise
        return process.returncode

    def _start_processes(self, cleanup: contextlib.ExitStack) -> None:
        self.supervisor = Supervisor(
            procfile.read(ROOT / "Procfile"),
            folder=ROOT,
            logs=self.data.logs,
            environment=self.environment,
            copies={"worker": self.options.workers},
            notify=lambda line: self.console.print(f"[yellow]{escape(line)}[/]"),
        )
        cleanup.callback(self._stop_processes, self.supervisor)
        self.supervisor.start()

    def _stop_processes(self, supervisor: Supervisor) -> None:
        self._say("Stopping (workers finish the calls in flight; Ctrl-C again to stop at once) ...")
        already = self.signals.count
        killed = supervisor.stop(hurry=lambda: self.signals.count > min(already, 1))
        if killed:
            self._say(f"Killed, since they did not stop in time: {', '.join(killed)}.")
        else:
            self._say("Stopped.")

    def _tick(self) -> None:
        if self.supervisor:
            self.supervisor.tick()
            self._restart_dead_servers()
        self.signals.check()
        time.sleep(0.1)

    def _restart_dead_servers(self) -> None:
        """On their old ports, so that every process finds them again by itself."""
        for server in self.servers:
            if server.process is not None and server.process.poll() is not None:
                name = type(server).__name__
                self.console.print(f"[yellow]{name} ended with code {server.process.returncode}; starting it again[/]")
                server.start()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        answer: tuple[bool, str] = (False, "")
        with self.console.status("Starting ...") as status:
            while not answer[0]:
                self._tick()
                self._give_up_if_hopeless()
                if time.monotonic() > deadline:
                    raise LauncherError(self._never_ready(answer[1]))
                answer = readiness(int(self.environment["PORT"]))
                status.update(f"Starting ... waiting for: {escape(answer[1])}")

    def _give_up_if_hopeless(self) -> None:
        for process in self.supervisor.processes if self.supervisor else []:
            if process.deaths >= HOPELESS_DEATHS:
                raise LauncherError(f"{process.name} keeps ending. Its log, {process.log}:\n{tail(process.log)}")

    def _never_ready(self, missing: str) -> str:
        processes = self.supervisor.processes if self.supervisor else []
        # The one that died, or else the one that is being waited for, or else the web server.
        suspects = [process for process in processes if process.deaths]
        suspects += [process for process in processes if process.kind in missing]
        log = [*suspects, *processes][0].log
        return f"Not ready after {READY_SECONDS:.0f} s, waiting for: {missing}. The end of {log}:\n{tail(log)}"

    def _serve(self) -> int:
        code = 0
        if not self.options.no_sample:
            code = self._wait_for(self._start_command(["sample"]))
        if self.options.once:
            return 1 if code else 0
        if code:
            self.console.print(f"[yellow]The sample batch ended with code {code}; the system keeps serving.[/]")
        self._print_addresses()
        while True:
            self._tick()

    def _print_addresses(self) -> None:
        web = f"http://127.0.0.1:{self.environment['PORT']}"
        flower = f"http://127.0.0.1:{self.environment['FLOWER_PORT']}"
        rows = {
            "Dashboard": f"{web}/",
            "Admin": f"{web}/admin/",
            "Sign in": f"demo / {os.environ.get('DEMO_PASSWORD') or 'the API key'}",
            "API key": self.environment["DEMO_API_KEY"],
            "Flower": f"{flower}/   ({self.environment['FLOWER_BASIC_AUTH'].replace(':', ' / ', 1)})",
            "Sandbox": self.environment["SANDBOX_URL"],
            "Logs": str(self.data.logs),
        }
        self.console.print()
        for name, value in rows.items():
            self.console.print(f"  [bold]{name:<10}[/] {escape(value)}")
        self.console.print("\nReady. Ctrl-C stops everything.")

    def _say(self, text: str) -> None:
        self.console.print(f"[dim]{escape(text)}[/]")


def base_environment(options: argparse.Namespace) -> dict[str, str]:
    """What every process gets; the caller's own variables win where the interface says so."""
    given = dict(os.environ)
    sandbox = given.get("SANDBOX_PORT") or str(options.port + 1)
    flower = given.get("FLOWER_PORT") or str(options.port + 2)
    binaries = Path(sys.executable).parent
    return {
        **given,
        "PATH": os.pathsep.join([str(binaries), given.get("PATH", os.defpath)]),
        "PORT": str(options.port),
        "SANDBOX_PORT": sandbox,
        "SANDBOX_URL": given.get("SANDBOX_URL") or f"http://127.0.0.1:{sandbox}",
        # Where receipts of messages come in; only the sandbox is ever told an address of this machine.
        "PUBLIC_URL": given.get("PUBLIC_URL") or f"http://127.0.0.1:{options.port}",
        "FLOWER_PORT": flower,
        "BATCHSITE_DATA": str(options.data.expanduser().resolve()),
        "DJANGO_SETTINGS_MODULE": given.get("DJANGO_SETTINGS_MODULE") or "batchsite.settings",
        "PYTHONUNBUFFERED": "1",
    }


def kept_settings(data: DataFolder) -> dict[str, str]:
    """Secrets that stay the same from start to start, unless the caller brings his own."""
    return {
        "SECRET_KEY": os.environ.get("SECRET_KEY") or data.secret("secret-key"),
        # 32 bytes in base64, which Fernet wants with its padding.
        "CREDENTIAL_KEYS": os.environ.get("CREDENTIAL_KEYS") or f"{data.secret('credential-key')}=",
        "DEMO_API_KEY": os.environ.get("DEMO_API_KEY") or data.secret("demo-api-key", "bsk_demo_"),
        "FLOWER_BASIC_AUTH": os.environ.get("FLOWER_BASIC_AUTH") or data.secret("flower-login", "demo:"),
    }


def require_free_ports(environment: Mapping[str, str]) -> None:
    ports = {"web": "PORT", "sandbox": "SANDBOX_PORT", "flower": "FLOWER_PORT"}
    for name, variable in ports.items():
        text = environment[variable]
        if not text.isdecimal() or not 1 <= int(text) <= 65535:
            raise LauncherError(f"{variable} must be a port number, not {text!r}.")
        if not is_free(int(text)):
            raise LauncherError(
                f"Port {text}, meant for {name}, is taken by another program. Choose another with --port or {variable}."
            )
