"""A process that has everything imported, and forks one for each command that it is told to run."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

IMPORTED = (
    *("fhiradapter.cli.main", "fhiradapter.sync.running", "fhiradapter.sync.aftermath"),
    *("fhiradapter.console", "fhiradapter.sync.schedule", "fhiradapter.sync.logs", "duckdb", "pandas"),
)


class Forking:
    """The driver of such a process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, *arguments: object) -> int:
        """Run the command `fhiradapter` with arguments; return the process's id."""
        return int(self._ask(json.dumps([str(argument) for argument in arguments])))

    def end(self) -> int:
        """Wait for the end of what was started last; return its exit code, or minus its signal."""
        return int(self._ask("end"))

    def run(self, *arguments: object) -> int:
        """Run the command to its end."""
        self.start(*arguments)
        return self.end()

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextmanager
def forking() -> Iterator[Forking]:
    """Start the driver, and stop it."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Forking(process)
        assert process.stdin is not None
        process.stdin.close()


def _drive() -> None:
    for name in IMPORTED:
        import_module(name)
    started = 0
    for line in sys.stdin:
        if line == "end\n":
            _, status = os.waitpid(started, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        started = os.fork()
        if started == 0:
            os._exit(_run(json.loads(line)))
        print(started, flush=True)


def _run(arguments: list[str]) -> int:
    from fhiradapter.cli import main

    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in range(3):
        os.dup2(nothing, handle)
    sys.argv = ["fhiradapter", *arguments]
    try:
        main()
    except SystemExit as error:
        return int(error.code or 0)
    except BaseException:  # noqa: BLE001 - as the interpreter ends then
        return 70
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _drive()
