"""The documentation is true: its examples run, its links lead somewhere, its names exist."""

import re
from pathlib import Path

import pytest

import fhiradapter

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("examples/*/*.md"),
        *ROOT.glob("mappings/**/*.md"),
    ]
)
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_python_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python fence of a page runs, one after the other, from the checkout."""
    monkeypatch.chdir(ROOT)
    fences = FENCE.findall((ROOT / page).read_text(encoding="utf-8"))
    assert fences
    names: dict[str, object] = {}
    for fence in fences:
        exec(
            compile(fence.replace('"report.html"', repr(str(tmp_path / "report.html"))), page, "exec"), names
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """A relative link of a page names a file of the repository."""
    broken = [
        link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()
    ]
    assert not broken


def test_public_names_exist() -> None:
    """`__all__` is true, and every public name has a docstring."""
    for name in fhiradapter.__all__:
        assert getattr(fhiradapter, name).__doc__, name
    assert dir(fhiradapter) == fhiradapter.__all__


def test_readme_stays_short() -> None:
    """The README is read to its end: it has at most a hundred lines."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


def test_reasons_all_have_a_meaning() -> None:
    """Every reason says what becomes of the resource and what to do."""
    from fhiradapter.reasons import MEANINGS, Reason

    assert set(MEANINGS) == set(Reason)
    assert {meaning.disposition for meaning in MEANINGS.values()} == {"quarantined", "ignored", "flagged"}
