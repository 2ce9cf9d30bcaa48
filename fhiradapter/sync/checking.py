"""Checking: what a study's servers are, what they can do, and how each type will be read and why."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from fhiradapter.errors import FhirAdapterError
from fhiradapter.fhir.rest import Rest
from fhiradapter.fhir.smart import SmartBackend
from fhiradapter.settings import Source, Study
from fhiradapter.sync.choosing import Exportable
from fhiradapter.sync.circumstances import Circumstances, types_of
from fhiradapter.sync.known import Held, Mark, Replacement
from fhiradapter.sync.lookups import LOOKED_UP
from fhiradapter.sync.planning import described, plan
from fhiradapter.sync.running import servers_of


class ServerCheck(msgspec.Struct, frozen=True):
    """What one server answered; nothing secret, and nobody's id."""

    source: str
    base_url: str
    software: str | None = None
    fhir_version: str | None = None
    exports: tuple[str, ...] = ()
    """Levels of bulk export that it offers."""
    authentication: str = "none"
    granted: tuple[str, ...] = ()
    """Scopes, where there are any."""
    not_granted: tuple[str, ...] = ()
    """Types that are to be read and that no granted scope lets us read."""
    patients: int | None = None
    """How many Patients are chosen; null: everybody."""
    feeds: Mapping[str, str] = {}
    """Each type with its feed and why."""
    problem: str | None = None


class NothingKnown:
    """A store with nothing in it, so that a check asks the server as a first run would."""

    def marks(self, kind: str) -> Sequence[Mark]:
        """Return no marks."""
        del kind
        return ()

    def held(
        self, kind: str, *, patients: Collection[str] | None = None, ids: Collection[str] | None = None
    ) -> Mapping[str, Held]:
        """Return nothing."""
        del kind, patients, ids
        return {}

    def count(self, kind: str, *, before: str, patients: Collection[str] | None = None) -> int:
        """Return nought."""
        del kind, before, patients
        return 0

    def referred(self, kind: str) -> Collection[str]:
        """Return nothing."""
        del kind
        return ()

    def replacements(self) -> Collection[Replacement]:
        """Return nothing."""
        return ()


def check_servers(study: Study, given: Circumstances) -> list[ServerCheck]:
    """Ask each server of a study what it is and can do, reading hardly any resource. Raises SettingsError."""
    kinds = types_of(study)
    return [_check(source, kinds, study.folder, given) for source in servers_of(study)]


def _check(source: Source, kinds: Sequence[str], folder: Path, given: Circumstances) -> ServerCheck:
    assert source.server is not None
    found = ServerCheck(source.name, source.base_url or "", authentication=source.server.auth.kind)
    try:
        with closing(given.open_fetcher(source)) as fetcher:
            auth = getattr(fetcher, "auth", None)
            if isinstance(auth, SmartBackend):
                missing = auth.missing_types({*kinds, *LOOKED_UP})
                found = msgspec.structs.replace(
                    found, granted=tuple(auth.granted or ()), not_granted=tuple(sorted(missing))
                )
            rest = Rest(fetcher, page_size=source.server.page_size)
            exportable = Exportable(denied=frozenset(found.not_granted))
            planned = plan(
                source.name, source.server, kinds, rest, NothingKnown(), folder=folder, exportable=exportable
            )
    except FhirAdapterError as error:
        return msgspec.structs.replace(found, problem=str(error))
    patients = planned.membership.patients
    problem = f"no scope to read {', '.join(found.not_granted)}" if found.not_granted else None
    return msgspec.structs.replace(
        found,
        software=planned.capabilities.software,
        fhir_version=planned.capabilities.fhir_version,
        exports=tuple(sorted(planned.capabilities.offers.levels)),
        patients=None if patients is None else len(patients),
        feeds=described(planned.probed),
        problem=problem,
    )
