"""Every error that fhiradapter raises, and the exit code that each one ends a command with.

::

    FhirAdapterError                1  something that no other class describes
    ├── UsageError                  2  the call itself is wrong: a path that is not there, an unknown option
    ├── SettingsError               3  the study file is wrong
    │   └── DefinitionsError        3  a file in mappings/ or a site overlay is wrong
    └── PartialError                4  the work ended, but not all of it could be done
        └── AccountingError         4  received is not mapped + quarantined + ignored

Messages name a resource by type and id and a file by name and line, never by content.
"""


class FhirAdapterError(Exception):
    """Something went wrong that no other class describes."""

    exit_code = 1


class UsageError(FhirAdapterError):
    """The call is wrong: a path that is not there, an argument of the wrong kind."""

    exit_code = 2


class SettingsError(FhirAdapterError):
    """The study file is wrong; the message names the file and the setting."""

    exit_code = 3


class DefinitionsError(SettingsError):
    """A file in mappings/ or a site overlay is wrong; the message names file and line."""


class PartialError(FhirAdapterError):
    """The work ended, but not all of it could be done."""

    exit_code = 4


class AccountingError(PartialError):
    """For one resource type, received is not mapped + quarantined + ignored."""
