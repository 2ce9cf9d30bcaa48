"""Progress in plain lines, as a log or a pipe gets them: what was read, the rate, the time that is left."""

import pytest

from fhiradapter.console import progress
from fhiradapter.console.progress import ProgressView, share_and_rest


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.mark.parametrize(("total", "expected"), [(1_000, ", 40 %, 45 s left"), (None, "")])
def test_plain_lines_say_rate_and_time_left(
    total: int | None, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """400 of 1,000 bytes and 60 resources in 30 s: 2 a second, and 45 s for the rest."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    with ProgressView(total) as view:
        clock.now += 30
        view.advance(60, 400)
        view.advance(1, 1)  # no second line so soon
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"read 60 resources, 2/s{expected}"
    assert lines[1:] == ["read 61 resources in 30.0 s"]


@pytest.mark.parametrize("done", [0, 1_001])
def test_nothing_is_promised_without_knowledge(done: int) -> None:
    """Before anything was read, and when more comes than was told, there is no telling how long it takes."""
    assert share_and_rest(done, 1_000, 5.0) == ""
