"""Regular resources: types of which there are millions, reduced to what most have, which decodes faster.

What the reduced form leaves out of the form in `elements` is rare: who has any of it has to be read in full.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Union, get_args

import msgspec

from fhiradapter.fhir.datatypes import ABSENT, Element, Extension, Identifier, Period, Reference
from fhiradapter.fhir.elements import AnyResource, MedicationAdministration, Observation, Patient, Resource


class RegularMeta(Element):
    """Version of a resource; tags are only there to be seen."""

    version_id: str | None = None
    last_updated: str | None = None
    tag: msgspec.Raw = ABSENT


class Regular(msgspec.Struct, rename="camel", gc=False):
    """What every regular resource has."""

    id: str | None = None
    meta: RegularMeta | None = None
    extension: list[Extension] | None = None


class Result(Regular, tag_field="resourceType", tag="Observation"):
    """An Observation with a quantity and a time of day.

    Where these two are there, no other value[x] and effective[x] can be. What laboratories repeat stays
    as the bytes that were sent, by which its meaning is remembered.
    """

    status: str | None = None
    code: msgspec.Raw = ABSENT
    subject: Reference | None = None
    effective_date_time: str | None = None
    value_quantity: msgspec.Raw = ABSENT
    performer: msgspec.Raw = ABSENT
    encounter: Reference | None = None
    reference_range: msgspec.Raw = ABSENT


class Dose(Regular, tag_field="resourceType", tag="MedicationAdministration"):
    """A MedicationAdministration with its product in codes; it and its dosage stay bytes, as in a Result."""

    status: str | None = None
    medication_codeable_concept: msgspec.Raw = ABSENT
    subject: Reference | None = None
    context: Reference | None = None
    encounter: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    request: Reference | None = None
    dosage: msgspec.Raw = ABSENT


class Person(Regular, tag_field="resourceType", tag="Patient"):
    """A Patient whose record is not merged with another one."""

    active: bool | None = None
    identifier: list[Identifier] | None = None
    gender: str | None = None
    birth_date: str | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None


class Forms(NamedTuple):
    """The reduced forms of one type: `plain` cannot have a rare element, `mixed` shows which it has."""

    plain: type[Any]
    mixed: type[Any]
    rare: tuple[str, ...]

    def places(self, resources: Sequence[Any], kinds: set[type[Any]]) -> Sequence[int]:
        """Return where the resources of this type are that have nothing rare; `kinds` are the classes."""
        if kinds == {self.plain}:
            return range(len(resources))
        if not kinds & {self.plain, self.mixed}:
            return ()
        nothing, rare = (ABSENT,) * len(self.rare), attrgetter(*self.rare)
        return [
            place
            for place, one in enumerate(resources)
            if type(one) is self.plain or (type(one) is self.mixed and rare(one) == nothing)
        ]


# Of a result, whatever says the value or the time in another way cannot stand beside those that it has.
RARE_IN_RESULTS = (
    "context",
    "focus",
    "component",
    "specimen",
    "method",
    "has_member",
    "related",
    "implicit_rules",
    "contained",
)


def _forms(reduced: type[Any], full: type[Resource], rare: Iterable[str] | None = None) -> Forms:
    names = tuple(rare or [name for name in full.__struct_fields__ if name not in reduced.__struct_fields__])
    options: dict[str, Any] = {
        "bases": (reduced,),
        "rename": "camel",
        "gc": False,
        "tag_field": "resourceType",
        "tag": full.__name__,
    }
    plain = msgspec.defstruct("Plain", [(name, None, None) for name in names], **options)
    mixed = msgspec.defstruct("Mixed", [(name, msgspec.Raw, ABSENT) for name in names], **options)
    return Forms(plain, mixed, names)


RESULTS = _forms(Result, Observation, RARE_IN_RESULTS)
DOSES = _forms(Dose, MedicationAdministration)
PERSONS = _forms(Person, Patient)
FORMS = (RESULTS, DOSES, PERSONS)
REDUCED = (Observation, MedicationAdministration, Patient)


def _decoder(reduced: Iterable[type[Any]]) -> msgspec.json.Decoder[Any]:
    """Return a decoder of reduced forms; of every other type only its name is read."""
    others = (
        msgspec.defstruct(kind.__name__, [], tag_field="resourceType", tag=kind.__name__, gc=False)
        for kind in get_args(AnyResource)
        if kind not in REDUCED
    )
    return msgspec.json.Decoder(Union[(*reduced, *others)])


_decoders = (_decoder(forms.plain for forms in FORMS), _decoder(forms.mixed for forms in FORMS))


def decode_regular(text: bytes, count: int) -> list[Any] | None:
    """Return what a text of so many lines holds; None when one of them is no resource of a known type."""
    for decoder in _decoders:
        try:
            found: list[Any] = decoder.decode_lines(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        return found if len(found) == count else None
    return None
