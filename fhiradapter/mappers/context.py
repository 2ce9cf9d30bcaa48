"""Context: what a mapper needs to know besides the resource."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fhiradapter.definitions.catalogue import Catalogue
from fhiradapter.fhir.datatypes import Reference
from fhiradapter.fhir.dates import DateReader
from fhiradapter.fhir.references import reference_text
from fhiradapter.mappers.codes import CodeReader
from fhiradapter.mappers.limits import LimitReader
from fhiradapter.mappers.lookups import Lookups
from fhiradapter.mappers.quantities import QuantityReader
from fhiradapter.mappers.remembered import Remembered
from fhiradapter.mappers.result_memory import ResultMemory
from fhiradapter.mappers.templates import Templates


def _first_reference(sent: list[Reference] | None) -> str:
    return reference_text(sent[0]) or "" if sent else ""


@dataclass(frozen=True)
class Neighbours:
    """The Bundle that a resource came in: full URL to type and id, and the bases of its full URLs."""

    targets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    bases: frozenset[str] = frozenset()


ALONE = Neighbours()


@dataclass
class Home:
    """The bases under which a source's own resources stand; empty until it shows one.

    The study's `base_url` when there is one. Else what the source shows first, in the order in which it is
    read: the full URLs of a Bundle, or the first absolute reference. Files are read in the order of their
    types and names, so that the same input always has the same home.
    """

    bases: frozenset[str] = frozenset()

    def settle(self, bases: frozenset[str]) -> None:
        """Take bases for the source's own, unless others were taken before."""
        if not self.bases:
            self.bases = bases


@dataclass(frozen=True)
class Readers:
    """What reads the parts of resources by one catalogue, in one time zone.

    They remember what they read, which makes them faster and changes nothing. For one thread at a time.
    """

    catalogue: Catalogue
    time_zone: str | None
    codes: CodeReader
    quantities: QuantityReader
    limits: LimitReader
    results: ResultMemory
    performers: Remembered[str]
    dates: DateReader

    @classmethod
    def of(cls, catalogue: Catalogue, time_zone: str | None = None) -> "Readers":
        """Make readers that have read nothing; the site's time zone holds when none is given."""
        codes, quantities = CodeReader(catalogue), QuantityReader(catalogue)
        return cls(
            catalogue,
            time_zone,
            codes=codes,
            quantities=quantities,
            limits=LimitReader(quantities),
            results=ResultMemory(codes, quantities),
            performers=Remembered(list[Reference] | None, _first_reference),
            dates=DateReader(time_zone or catalogue.time_zone),
        )


@dataclass(frozen=True)
class Context:
    """One source's definitions, time zone and look-ups.

    `final` says that everything was read, so that a reference that is still unknown stays so.
    `now` is the latest instant that is not the future, microseconds since 1970.
    """

    source: str
    catalogue: Catalogue
    codes: CodeReader
    quantities: QuantityReader
    limits: LimitReader
    results: ResultMemory
    performers: Remembered[str]
    dates: DateReader
    lookups: Lookups
    now: int
    home: Home = field(default_factory=Home)
    subject_prefix: str = ""
    neighbours: Neighbours = ALONE
    subjects: dict[str | None, str] = field(default_factory=dict)
    encounters: dict[str | None, str] = field(default_factory=dict)
    """What references outside of Bundles were found to mean; see `within`."""
    doses: Templates = field(default_factory=Templates)
    persons: Templates = field(default_factory=Templates)
    """Rows of administrations and of Patients, by the parts that decide on them."""
    final: bool = False

    def within(self, neighbours: Neighbours) -> "Context":
        """Return the context of a Bundle's entries, whose references may mean each other."""
        self.home.settle(neighbours.bases)
        return replace(self, neighbours=neighbours, subjects={}, encounters={})

    @classmethod
    def of(
        cls,
        readers: Readers,
        *,
        now: int,
        source: str = "input",
        base_url: str | None = None,
        subject_prefix: str = "",
    ) -> "Context":
        """Make the context of one source that is read by these readers."""
        return cls(
            source=source,
            catalogue=readers.catalogue,
            codes=readers.codes,
            quantities=readers.quantities,
            limits=readers.limits,
            results=readers.results,
            performers=readers.performers,
            dates=readers.dates,
            lookups=Lookups(),
            now=now,
            home=Home(frozenset({base_url.rstrip("/")} if base_url else ())),
            subject_prefix=subject_prefix,
        )
