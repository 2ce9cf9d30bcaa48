"""Workers may be started before it is known what they are for."""

from faulty_bench import Echo

from fhiradapter.engines import crew
from fhiradapter.engines.crew import Crew, begun


def test_a_crew_takes_the_processes_that_were_begun() -> None:
    """They do its tasks, and those that it does not need are ended with the block."""
    with begun(3):
        early = [process for process, _ in crew._begun]
        engine = Crew(Echo, 2)
        try:
            parts = {task: list(parts) for task, parts in engine.results([1, 2, 3])}
            assert {task: len(found) for task, found in parts.items()} == {1: 1, 2: 2, 3: 3}
            assert [hand._process for hand in engine._hands] == early[:2]
        finally:
            engine.close()
    assert all(process.returncode is not None for process in early)
    assert not crew._begun


def test_a_crew_with_pandas_takes_none_of_them() -> None:
    """What was begun goes without pandas, which a bench that asks for it needs."""
    with begun(1):
        engine = Crew(Echo, 1, pandas=True)
        try:
            assert len(crew._begun) == 1
            assert [len(list(parts)) for _, parts in engine.results([2])] == [2]
        finally:
            engine.close()
    assert not crew._begun


def test_processes_that_nobody_took_end_after_an_error() -> None:
    """An error before the crew is made leaves no process behind."""
    early = []
    try:
        with begun(2):
            early = [process for process, _ in crew._begun]
            raise ValueError
    except ValueError:
        pass
    assert [process.returncode is not None for process in early] == [True, True]
