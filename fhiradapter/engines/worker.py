"""The worker: the process at the other end of a crew, which does tasks until nobody asks any more."""

import pickle
import signal
import socket
import traceback
from importlib import import_module

from fhiradapter.engines.freed_memory import keep_freed_memory
from fhiradapter.engines.messages import Kind, receive, send
from fhiradapter.engines.without_pandas import do_without_pandas
from fhiradapter.errors import FhirAdapterError

WITHOUT_PANDAS = "fhiradapter.workbench"  # what maps; engines know nothing of it


def main(descriptor: int, *, pandas: bool) -> None:
    """Serve the process at the other end of a socket."""
    # Who presses Ctrl-C means the whole command, which then ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not pandas:
        do_without_pandas()
        keep_freed_memory()
        # Whoever asks may still load it, too, and asks a moment later.
        import_module(WITHOUT_PANDAS)
    with socket.socket(fileno=descriptor) as parent:
        try:
            _serve(parent)
        except (EOFError, OSError):  # the process that asked is gone
            return


def _serve(parent: socket.socket) -> None:
    bench = None
    while True:
        kind, content = receive(parent)
        try:
            message = pickle.loads(content)  # noqa: S301 - from the process that started this one
            if kind is Kind.MAKE:
                bench = message()
            elif bench is None:
                raise RuntimeError("a task before the bench")
            elif kind is Kind.NEWS:
                bench.hear(message)
            else:
                for part in bench.run(message):
                    send(parent, Kind.PART, part)
                send(parent, Kind.DONE)
        except (EOFError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again where the task was given
            send(parent, Kind.FAULT, pickle.dumps(described(error)))


def described(error: Exception) -> FhirAdapterError | str:
    """Return an error of ours, or of any other its class and place: its message may hold a patient's data."""
    if isinstance(error, FhirAdapterError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].name}:{frames[-1].lineno}"
