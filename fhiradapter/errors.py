"""Every error that fhiradapter raises, and the exit code that each one ends a command with.

::

    FhirAdapterError                1  something that no other class describes
    ├── UsageError                  2  the call itself is wrong: a path that is not there, an unknown option
    ├── SettingsError               3  the study file is wrong
    │   └── DefinitionsError        3  a file in mappings/ or a site overlay is wrong
    ├── PartialError                4  the work ended, but not all of it could be done
    │   └── AccountingError         4  received is not mapped + quarantined + ignored
    ├── AuthenticationError         5  the server does not know us, or not for this
    ├── ServerError                 6  the server's answer cannot be used
    │   ├── TransientServerError    6  it may be another one later: unreachable, too slow, busy, failing
    │   ├── RefusedAnswerError      6  it will be no other one: a body or page that breaks a rule
    │   └── RefusedOriginError      6  it sends us to a place that is not its own
    ├── LockedError                 7  another run holds the store
    └── WorkerError                 1  a worker process failed or ended at some part of the input

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


class AuthenticationError(FhirAdapterError):
    """The server does not know us, or does not let us read what was asked for."""

    exit_code = 5


class ServerError(FhirAdapterError):
    """The server's answer cannot be used; the message names the type asked for, and no id."""

    exit_code = 6

    def __init__(self, message: str, *, reason: str, status: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class TransientServerError(ServerError):
    """All tries failed, and a later one may not: unreachable, too slow, busy, failing."""


class RefusedAnswerError(ServerError):
    """The answer breaks a rule: too large, cut short, not JSON, not what was asked for."""


class RefusedOriginError(ServerError):
    """A link or redirect leads to another place than the server; nobody there was asked."""


class LockedError(FhirAdapterError):
    """Another run holds the store."""

    exit_code = 7


class WorkerError(FhirAdapterError):
    """A worker process failed, or ended twice, at a part of the input that the message names."""
