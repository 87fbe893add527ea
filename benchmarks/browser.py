"""What a page that watches a batch holds in a real browser while the batch runs: heap, nodes and listeners, after a
full garbage collection, so that what only waits to be collected does not count.

``python -m benchmarks.browser ADDRESS USER PASSWORD PATH...``: opens each page in a tab of its own, reads all of them
every ten seconds until the first one's batch is over (or 15 minutes have passed), and prints a table for RESULTS.md.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from playwright.sync_api import BrowserContext, Page, sync_playwright

EXECUTABLE = "/usr/bin/chromium"
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
EVERY_SECONDS = 10.0
LONGEST_SECONDS = 900.0
FINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Held:
    """By one page: bytes of JavaScript objects, nodes of documents, listeners of events."""

    heap: int
    nodes: int
    listeners: int


class Gauge:
    """Reads one page, through the browser's own protocol."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self._session = context.new_cdp_session(page)
        self._session.send("Performance.enable")

    def read(self) -> Held:
        """Collect its garbage, then look."""
        self._session.send("HeapProfiler.collectGarbage")
        figures = {one["name"]: one["value"] for one in self._session.send("Performance.getMetrics")["metrics"]}
        return Held(int(figures["JSHeapUsedSize"]), int(figures["Nodes"]), int(figures["JSEventListeners"]))


def main(address: str, user: str, password: str, paths: list[str]) -> None:
    """Watch, and print."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS).new_context()
        entrance = context.new_page()
        entrance.goto(f"{address}/login")
        entrance.get_by_label("User name").fill(user)
        entrance.get_by_label("Password").fill(password)
        entrance.get_by_role("button", name="Sign in").click()
        entrance.wait_for_url(f"{address}/")
        pages = []
        for path in paths:
            pages.append(context.new_page())
            pages[-1].goto(address + path)
        gauges = [Gauge(context, page) for page in pages]
        print(
            "| seconds | done | " + " | ".join(f"`{path.split('?')[0]}`: MB, nodes, listeners" for path in paths) + " |"
        )
        print("|---|---|" + "---|" * len(paths))
        begun = time.monotonic()
        while True:
            seconds = time.monotonic() - begun
            shown = [f"{held.heap / 1e6:.2f}, {held.nodes}, {held.listeners}" for held in (g.read() for g in gauges)]
            status = pages[0].locator("h1 [data-status]").inner_text()
            print(
                f"| {seconds:.0f} | {pages[0].locator('[data-finished]').inner_text()} | {' | '.join(shown)} |",
                flush=True,
            )
            if status in FINAL or seconds > LONGEST_SECONDS:
                return
            pages[0].wait_for_timeout(EVERY_SECONDS * 1000)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
