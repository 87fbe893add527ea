"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batches.states import BATCH_TRANSITIONS, ITEM_TRANSITIONS

ROOT = Path(__file__).resolve().parents[1]


def arrows(section: str) -> set[tuple[str, str]]:
    """The transitions of one diagram of docs/states.md, without those from nowhere."""
    text = (ROOT / "docs" / "states.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^ +(\w+) --> (\w+):", text, re.MULTILINE))


@pytest.mark.parametrize(("section", "table"), [("Batch", BATCH_TRANSITIONS), ("Item", ITEM_TRANSITIONS)])
def test_each_diagram_shows_exactly_the_transitions_of_its_table(
    section: str, table: dict[str, frozenset[str]]
) -> None:
    assert arrows(section) == {(str(old), str(new)) for old, targets in table.items() for new in targets}


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_test_that_the_coverage_names_exists() -> None:
    named = re.findall(r"(tests/[\w/]+\.py)(?:::([\w:]+))?", (ROOT / "docs" / "coverage.md").read_text())
    assert len(named) > 50
    for path, names in named:
        code = (ROOT / path).read_text()
        for name in filter(None, names.split("::")):
            assert re.search(rf"^ *(async )?(def|class) {name}", code, re.MULTILINE), f"{path}::{name}"


def test_every_environment_variable_is_documented() -> None:
    documented = (ROOT / "docs" / "operations.md").read_text()
    settings = (ROOT / "batchsite" / "settings.py").read_text()
    for name in re.findall(r'environment\.\w+\(\s*"([A-Z_]+)"', settings):
        assert f"`{name}`" in documented, name
