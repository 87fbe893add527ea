"""The documents say what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
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


REFERENCE = re.compile(
    r"(?P<path>(?:tests/)?(?:\w+/)*test_\w+\.py|tests/[\w/]+\.py)"
    r"|(?<![\w/.])(?P<name>(?:[A-Z]\w+::)?test_\w+)(?!\w*\.py)"
    r"|::(?P<of_class>[A-Z]\w+)"
)


def named_tests(row: str, before: Path | None) -> Iterator[tuple[Path, str]]:
    """File and name of each test of a row; a name without a file is in the one named before it."""
    file = before
    for found in REFERENCE.finditer(row):
        if path := found["path"]:
            matching = [ROOT / path] if (ROOT / path).exists() else sorted((ROOT / "tests").rglob(Path(path).name))
            if len(matching) > 1 and file is not None:
                matching = [one for one in matching if one.parent == file.parent]
            assert len(matching) == 1, f"{path}: {matching}"
            file = matching[0]
            yield file, ""
        else:
            assert file is not None, row
            yield file, (found["name"] or found["of_class"]).split("::")[-1]


def test_every_test_that_the_coverage_names_exists() -> None:
    last: Path | None = None
    number = 0
    for line in (ROOT / "docs" / "coverage.md").read_text().splitlines():
        if not line.startswith("| "):
            continue
        feature, *_, tests = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert tests, f"nothing proves: {feature}"
        for file, name in named_tests(tests, last):
            last, number = file, number + 1
            assert re.search(rf"^ *(async )?(def|class) {name}", file.read_text(), re.MULTILINE), f"{file}::{name}"
    assert number > 200


def test_every_environment_variable_is_documented() -> None:
    documented = (ROOT / "docs" / "operations.md").read_text()
    settings = (ROOT / "batchsite" / "settings.py").read_text()
    for name in re.findall(r'environment\.\w+\(\s*"([A-Z_]+)"', settings):
        assert f"`{name}`" in documented, name
