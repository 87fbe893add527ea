"""The documents' calls by curl: every one is made as it stands, one after the other, by a shell."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.models import ApiKey, Batch
from records.models import Record
from tests.engine_fixture import ROOT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sandbox")]

SECONDS = 120
FOUND = {"batch": r"batch_[0-9]+_[0-9a-f]{24}", "file": r"file_[0-9a-f]{32}"}
"""What stands for ``batch_...`` and ``file_...``: the last id of the last answer."""
PRELUDE = """
set -eu
curl() { command curl --fail-with-body "$@" | tee last; printf '\\n---\\n'; test "${PIPESTATUS[0]}" = 0; }
found() { grep -oE "$1" last | tail -1; }
ended() {
  for _ in $(seq 300); do
    command curl -s "$URL/api/batch/$1" -H "Authorization: Bearer $KEY" |
      grep -qE '"status":"(completed|failed)"|"held_for"' && return 0
    sleep 0.1
  done
  echo "$1 does not end" >&2
  return 1
}
"""


def blocks(document: str) -> list[str]:
    """The blocks of a document that make calls."""
    text = (ROOT / document).read_text()
    found = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [block for block in found if re.search(r"^(curl|get|post)\b", block, re.MULTILINE)]


def examples(document: str) -> list[dict[str, Any]]:
    """The outcomes and results it shows. Previews are shortened."""
    found = re.findall(r"```json\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    return [json.loads(block) for block in found if "dryRun" not in block]


def script(document: str, url: str, key: str) -> str:
    lines = []
    for line in "\n".join(blocks(document)).splitlines():
        if named := re.match(r"(\w+)=(batch|file)_\.\.\.", line):
            name, kind = named.groups()
            lines.append(f"{name}=$(found '{FOUND[kind]}')")
            if kind == "batch":
                lines.append(f'ended "${name}"')
        elif line.startswith("export URL="):
            lines.append(f"export URL={url} KEY={key}")
        else:
            lines.append(line)
    return PRELUDE + "\n".join(lines)


@pytest.fixture
def answers(owner: User, site: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """What the calls of a document were answered, those that answer in JSON."""
    _, secret = ApiKey.issue(owner_id=owner.pk, name="docs")
    done = subprocess.run(
        ["bash", "-c", script(request.param, site, secret)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    yield [json.loads(answer) for answer in done.stdout.split("\n---\n") if answer.startswith("{")]


@pytest.mark.parametrize("answers", ["README.md"], indirect=True)
def test_the_calls_of_the_readme(answers: list[Any]) -> None:
    assert len(answers) == len(re.findall(r"^curl ", "\n".join(blocks("README.md")), re.MULTILINE))
    until = time.monotonic() + SECONDS
    while Batch.objects.filter(status="running").exists() and time.monotonic() < until:
        time.sleep(0.2)  # nothing in the README waits for its batch in economy mode
    assert sorted(Batch.objects.values_list("operation", "mode", "status")) == [
        ("annotate", "fast", "completed"),
        ("rate_photos", "economy", "completed"),
        ("rate_photos", "fast", "completed"),
        ("sms", "fast", "completed"),
    ]
    (memory,) = Record.objects.all()
    assert memory.metadata["annotation_status"] == "done"


@pytest.mark.parametrize("answers", ["docs/operations-on-records.md"], indirect=True)
def test_the_calls_of_the_operations_on_records(answers: list[Any]) -> None:
    """The outcomes are those that the document shows, ids and times aside."""
    outcomes = [answer["batch"]["outcome"] for answer in answers if "outcome" in answer.get("batch", {})]
    shown = examples("docs/operations-on-records.md")
    assert len(shown) == 5
    for example in shown:
        if "nodeId" in example or "columns" in example:
            results = [result for answer in answers for result in answer.get("batch", {}).get("results", [])]
            found = results + [result.get("result", {}) for result in results]
        else:
            found = outcomes
        assert any(without_ids(example) == without_ids(one) for one in found), (example, found)


@pytest.mark.parametrize("answers", ["docs/providers.md"], indirect=True)
def test_the_calls_of_the_providers_document(answers: list[Any]) -> None:
    assert len(answers) == len(re.findall(r"^curl ", "\n".join(blocks("docs/providers.md")), re.MULTILINE))
    photos, messages = (answer["estimate"] for answer in answers if "estimate" in answer)
    assert (photos["withinMaxCost"], messages["segments"], messages["refusedItems"]) == (True, 1, 1)
    (held,) = (answer["batch"] for answer in answers if answer.get("batch", {}).get("held_for"))
    assert (held["status"], held["held_for"], held["max_cost"]) == ("paused", "budget", "0.001000")
    assert sorted(Batch.objects.exclude(subject="budget").values_list("operation", "mode", "status")) == [
        ("rate_photos", "economy", "completed"),
        ("rate_photos", "fast", "completed"),
        ("sms", "fast", "completed"),
        ("sms", "fast", "completed"),
    ]
    for batch in Batch.objects.exclude(subject="budget"):
        assert batch.spent == sum(item.cost or 0 for item in batch.items.all()) > 0


def without_ids(value: Any) -> Any:
    """What is the same each time."""
    if isinstance(value, dict):
        changing = {"fileId", "nodeId", "durationMs", "createdAt", "at"}
        return {name: without_ids(one) for name, one in value.items() if name not in changing}
    return [without_ids(one) for one in value] if isinstance(value, list) else value
