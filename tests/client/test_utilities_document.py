"""docs/utilities.md: every example is run as it stands, in an interpreter of its own, and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from batches.models import ApiKey
from tests.engine_fixture import ROOT
from tests.extraction.files import picture

DOCUMENT = (ROOT / "docs" / "utilities.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
ALONE = [example for example in EXAMPLES if "# needs: server" not in example]
WITH_SERVER = [example for example in EXAMPLES if "# needs: server" in example]


def printed_by(example: str, **names: str) -> list[str]:
    given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    done = subprocess.run(
        [sys.executable, "-c", given + example], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def promised(example: str) -> list[str]:
    return re.findall(r"^# prints: (.*)$", example, re.MULTILINE)


@pytest.mark.parametrize("example", ALONE, ids=range(len(ALONE)))
def test_an_example_prints_what_it_says(example: str) -> None:
    assert promised(example)
    assert printed_by(example) == promised(example)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("example", WITH_SERVER, ids=range(len(WITH_SERVER)))
def test_an_example_of_the_client_prints_what_it_says(example: str, site: str, owner: User, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(picture())
    _, secret = ApiKey.issue(owner_id=owner.pk, name="docs")
    assert printed_by(example, KEY=secret, URL=site, PHOTO=str(photo)) == promised(example)


def test_every_operation_of_document_000_is_described() -> None:
    for name in ("process_files", "generate_images", "analyze_conversations"):
        assert f"### `{name}`" in DOCUMENT
