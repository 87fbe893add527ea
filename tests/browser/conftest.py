"""A real Chromium against a real web process on the test database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30.0
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "correct horse"
# Playwright's five seconds are few for a browser, a web process and an engine that share two cores.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its module: while Playwright's loop runs, the asynchronous tests of other modules cannot."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("No chromium is installed.")
        pytest.skip("No chromium is installed (Debian: apt-get install chromium).")
    # Playwright's loop makes this thread look asynchronous while it runs; the ORM is called from it all the same.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def alice(transactional_db: None) -> User:
    return User.objects.create_user("alice", password=PASSWORD)


class WebProcess:
    """A web process on the tests' database, which may be stopped and started again at the same address."""

    def __init__(self, log_path: Path, environment: dict[str, str] | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._log_path = log_path
        database = {"DATABASE_URL": tests_database_url(), "SECRET_KEY": settings.SECRET_KEY}
        self._environment = {**os.environ, **database, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "batchsite.asgi:application", "--port", str(self.port)],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for_answer(self.port, self._process)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE_SECONDS)
            self._process = None

    def end(self) -> None:
        """Stop; it must not have run into anything meanwhile."""
        self.stop()
        assert "Traceback" not in self._log_path.read_text()


@pytest.fixture(scope="session")
def site(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web process of its own, on the tests' database."""
    web = WebProcess(tmp_path_factory.mktemp("web") / "web.log")
    try:
        web.start()
        yield web.address
    finally:
        web.end()


def tests_database_url() -> str:
    """The configured URL with the name that the tests gave their database."""
    address, mark, options = str(settings.DATABASE_URL).partition("?")
    return f"{address.rpartition('/')[0]}/{connection.settings_dict['NAME']}{mark}{options}"


def wait_for_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        assert process.poll() is None, "the web process ended"
        assert time.monotonic() < deadline, "the web process did not answer"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


class Visit:
    """A page and what went wrong on it."""

    def __init__(self, page: Page, site: str) -> None:
        self.page, self.site = page, site
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", self._failed)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page's own fetch, when the person goes elsewhere
            self.complaints.append(f"{request.url}: {request.failure}")

    def sign_in(self, path: str = "/") -> None:
        """Go there as Alice, who has a session already. Returns when the page's scripts listen."""
        client = Client()
        client.force_login(User.objects.get(username="alice"))
        name = settings.SESSION_COOKIE_NAME
        self.page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": self.site}])
        self.page.goto(self.site + path)

    def sign_in_by_form(self, path: str = "/") -> None:
        """As people do."""
        self.page.goto(self.site + path)
        self.page.get_by_label("User name").fill("alice")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def look(self, name: str) -> None:
        """Keep a picture where a person asked for them."""
        if folder := os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def visit(browser: Browser, site: str, transactional_db: None) -> Iterator[Any]:
    """Opens pages at a width; afterwards none may have complained."""
    visits = []

    def open_page(width: int = 1280, **context: Any) -> Visit:
        visits.append(Visit(browser.new_context(viewport={"width": width, "height": 900}, **context).new_page(), site))
        return visits[-1]

    yield open_page
    for each in visits:
        each.page.context.close()
        assert each.complaints == []
