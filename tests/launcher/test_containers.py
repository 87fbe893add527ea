"""The image, the Compose file and the systemd units, read as text: neither engine is among the test's tools."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from django.conf import settings

from batches.running.engine import FLUSH_SECONDS
from batchsite.launcher import procfile

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
UNITS = re.findall(r"```ini\n(.*?)```", (ROOT / "docs/deployment.md").read_text(), flags=re.DOTALL)


def services() -> dict[str, str]:
    """Each service's block."""
    block = COMPOSE.split("\nservices:\n")[1].split("\nvolumes:\n")[0]
    parts = re.split(r"^(\S+):\n", textwrap.dedent(block), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_process_of_the_procfile_is_a_service() -> None:
    assert set(procfile.read(ROOT / "Procfile")) <= set(services())


def test_the_worker_can_be_scaled_and_has_time_to_drain() -> None:
    worker = services()["worker"]
    assert "ports:" not in worker
    assert "container_name" not in COMPOSE
    assert "stop_grace_period: 60s" in worker


@pytest.mark.parametrize("name", ["postgres", "redis", "web", "worker", "dispatcher"])
def test_what_others_wait_for_has_a_health_check(name: str) -> None:
    assert "healthcheck:" in services()[name]


@pytest.mark.parametrize("name", ["worker", "dispatcher"])
def test_the_engine_is_checked_by_a_command_that_exists(name: str) -> None:
    command = re.findall(r'test: \["CMD", "python", "manage.py", "(\w+)", "(\w+)"\]', services()[name])
    assert command == [("check_process", name)]
    assert (ROOT / "batches/management/commands/check_process.py").exists()


def test_what_ends_itself_is_started_again() -> None:
    common = COMPOSE.split("x-application:")[1].split("\nservices:")[0]
    assert "restart: unless-stopped" in common
    assert [name for name, block in services().items() if 'restart: "no"' in block] == ["migrate"]


def test_a_stopping_process_has_more_time_than_it_takes() -> None:
    drained = settings.WORKER_DRAIN_SECONDS + FLUSH_SECONDS
    for text, pattern in ((services()["worker"], r"stop_grace_period: (\d+)s"), (UNITS[0], r"TimeoutStopSec=(\d+)")):
        (patience,) = re.findall(pattern, text)
        assert int(patience) >= drained + 10


def test_secrets_have_no_default() -> None:
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "FLOWER_BASIC_AUTH", "ALLOWED_HOSTS"):
        uses = re.findall(rf"\$\{{{name}([^}}]*)\}}", COMPOSE)
        assert uses
        assert all(use.startswith(":?") for use in uses)


def test_every_provider_can_be_set_up_from_outside() -> None:
    """In production an alias without its key stops the start: whoever cannot pass one cannot start at all."""
    wanted = {"PROVIDERS", "PROVIDER_PRICES", "COST_MARKUP", "CREDENTIAL_KEYS"}
    wanted |= {f"DEFAULT_{kind}_PROVIDER" for kind in ("CHAT", "IMAGE", "SMS")}
    for entry in settings.KNOWN_PROVIDERS.values():
        names = {entry["key_variable"], entry.get("signature_variable"), *entry.get("variables", {}).values()}
        wanted |= names - {None}
    common = COMPOSE.split("x-environment:")[1].split("\nx-application:")[0]
    passed = set(re.findall(r"^  (\w+): \$\{\1:-\}$", common, flags=re.MULTILINE))
    assert wanted <= passed


def test_ports_are_open_to_this_machine_only_unless_asked() -> None:
    published = re.findall(r'^\s+- "(.*:\d+)"$', COMPOSE, flags=re.MULTILINE)
    assert published
    assert all(port.startswith(("127.0.0.1:", "${BIND_ADDRESS:-127.0.0.1}:")) for port in published)


def test_commands_of_the_compose_file_match_the_procfile() -> None:
    """One option more or less in one of the two would be found in production."""
    worker = re.findall(r'"(--[a-z-]+)', services()["worker"])
    assert worker == re.findall(r"(--[a-z-]+)", procfile.read(ROOT / "Procfile")["worker"])
    web = re.findall(r'"(--[a-z-]+)"', DOCKERFILE.split("CMD")[1])
    assert web == re.findall(r"(--[a-z-]+)", procfile.read(ROOT / "Procfile")["web"])


def test_commands_of_the_systemd_units_match_the_procfile() -> None:
    for unit, kind in zip(UNITS, ("worker", "dispatcher", "web"), strict=True):
        (command,) = re.findall(r"^ExecStart=\S+/bin/(.*)$", unit, flags=re.MULTILINE)
        line = procfile.read(ROOT / "Procfile")[kind]
        assert command.split()[0] == line.split()[0]
        assert re.findall(r"(--[a-z-]+)", command) == re.findall(r"(--[a-z-]+)", line)
        for setting in ("KillSignal=SIGTERM", "Restart=always", "TimeoutStopSec=", "StartLimitIntervalSec=0"):
            assert setting in unit


def test_the_image_runs_pinned_packages_as_an_ordinary_user() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert re.search(r"^USER (?!root)\w+", DOCKERFILE, flags=re.MULTILINE)


def test_no_build_context_carries_local_state() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", ".data"} <= set(ignored)
