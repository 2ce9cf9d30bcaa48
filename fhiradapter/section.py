"""A section of the study file."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the study file: frozen, and an unknown setting is an error.

    Errors do not repeat what was written: it may be a secret that does not belong there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
