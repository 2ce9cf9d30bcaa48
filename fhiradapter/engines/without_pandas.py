"""A process without pandas: one that maps and does nothing else."""

import sys


class WithoutPandas:
    """Says to whoever imports it that there is no pandas.

    Arrow looks for it when it first meets a list; loading it takes longer than mapping 20,000 resources. It
    asks once: a process that was told so has none until its end.
    """

    def find_spec(self, name: str, path: object, target: object = None) -> None:  # noqa: ARG002 - as imports ask
        """Find nothing of this name, wherever others would."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


def do_without_pandas() -> None:
    """Do without pandas in this process from now on."""
    # The base class of finders takes long to import, and nothing asks for it.
    sys.meta_path.insert(0, WithoutPandas())
