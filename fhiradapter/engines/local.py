"""The local engine: one source through one kernel, in this process."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

AT_ONCE = 2_000


class Kernel(Protocol):
    """What maps batches; `map_batch` may leave resources for later."""

    def map_batch(self, batch: Any, /) -> Any:
        """Map one batch."""
        ...

    def map_deferred(self, later: Any, /) -> Any:
        """Map resources that had to wait."""
        ...

    def finish(self) -> None:
        """Say that everything was read."""
        ...


class Waiting(Protocol):
    """Where resources wait."""

    def extend(self, things: Any, /) -> None:
        """Add resources."""
        ...

    def portions(self, count: int, /) -> Iterator[Any]:
        """Yield all that wait."""
        ...


def map_locally(
    batches: Iterator[Any], kernel: Kernel, waiting: Waiting, take: Callable[[Any, int], None]
) -> None:
    """Map all batches, then what had to wait for them; one batch is in memory at a time.

    `take` gets what was mapped and the number of bytes read for it.
    """
    for batch in batches:
        mapped = kernel.map_batch(batch)
        waiting.extend(mapped.deferred)
        take(mapped, batch.bytes_read)
    kernel.finish()
    for later in waiting.portions(AT_ONCE):
        take(kernel.map_deferred(later), 0)
