"""A section of the study file."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the study file: frozen, and an unknown setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
