"""MedicationAdministration: one exposure, given or not."""

from fhiradapter.fhir.datatypes import CodeableConcept, Quantity, Ratio, Reference
from fhiradapter.fhir.elements import Dosage, MedicationAdministration
from fhiradapter.fhir.references import reference_text
from fhiradapter.mappers.codes import UNCODED, concept_text
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import encounter_of, product_of, subject_of
from fhiradapter.mappers.lookups import Product
from fhiradapter.mappers.moments import columns, span
from fhiradapter.mappers.observation import usable_status
from fhiradapter.mappers.outcome import Mapped, Note, Unusable, row
from fhiradapter.mappers.quantities import UnitUse, finite, number_text
from fhiradapter.reasons import Reason

RULE = "medication_administration/1"
USED = frozenset({"completed", "in-progress", "stopped", "not-done"})
NOT_DOSES = frozenset({"on-hold", "unknown"})
CELL_PRODUCTS = "product"
UNITY = "1"  # UCUM's unit for what has no unit; of what, the text beside it says
NO_DOSE: dict[str, object] = {}


def map_medication_administration(administration: MedicationAdministration, context: Context) -> Mapped:
    """Return the exposure; a dose that was not given stays a row with its reason and without a dose."""
    name = "MedicationAdministration"
    status = usable_status(administration.status, USED, NOT_DOSES, f"{name}.status")
    if (
        administration.not_given or administration.was_not_given
    ):  # STU3 has a flag beside a status that says completed
        status = "not-done"
    notes: list[Note] = []
    subject = subject_of(administration.subject, administration, context, f"{name}.subject", notes)
    medication = _product(administration, context, notes)
    when = span(
        administration.effective_date_time
        or administration.occurence_date_time
        or administration.occurrence_date_time,
        administration.effective_period
        or administration.occurence_period
        or administration.occurrence_period,
        administration.occurence_timing or administration.occurrence_timing,
        context,
        f"{name}.effective[x]",
        notes,
    )
    if status == "stopped":
        notes.append(Note(Reason.INTERRUPTED, f"{name}.status"))
    kind = medication.coded.kind
    values: dict[str, object] = {
        "concept": medication.coded.concept,
        "status": status,
        **columns("started", when.start),
        **columns("ended", when.end),
        **_dosage(administration.dosage, status, kind, context, notes),
        "batch": medication.batch,
        "encounter_id": encounter_of(
            administration.context or administration.encounter,
            administration,
            context,
            f"{name}.context",
            notes,
        ),
        "status_reason": _reason(administration, notes),
        "planned": reference_text(administration.request or administration.prescription),
        "interrupted": status == "stopped",
        "source_code": medication.coded.source_code,
        "source_display": medication.coded.source_display,
    }
    return Mapped(subject, [row("exposures", **values)], notes)


def _product(administration: MedicationAdministration, context: Context, notes: list[Note]) -> Product:
    """Return what was given, as a code or through a Medication; without either it has no meaning."""
    name = "MedicationAdministration"
    concept: CodeableConcept | None = administration.medication_codeable_concept
    reference: Reference | None = administration.medication_reference
    if administration.medication is not None:  # R5
        concept = concept or administration.medication.concept
        reference = reference or administration.medication.reference
    found = None
    if reference is not None:
        found = product_of(reference, administration, context, f"{name}.medication[x]", notes)
    if concept is not None:
        coded = context.codes.read(concept, f"{name}.medication[x]", notes)
        if found is None:
            return Product(coded, None)
        named = {coded.concept, found.coded.concept} - {None}
        if len(named) > 1:
            notes.append(Note(Reason.CONFLICTING_CODES, f"{name}.medication[x]"))
        # R5 may say the name in words beside a reference to the product itself.
        return Product(coded if coded.concept else found.coded, found.batch)
    if found is not None:
        return found
    if reference is None:
        raise Unusable(Reason.MISSING_ELEMENT, f"{name}.medication[x]")
    text = reference_text(reference)
    return Product(
        context.codes.read(None, name, notes)._replace(source_display=reference.display or text), None
    )


def _reason(administration: MedicationAdministration, notes: list[Note]) -> str | None:
    reasons = administration.status_reason or administration.reason_not_given
    if not reasons:
        return None
    if len(reasons) > 1:
        notes.append(Note(Reason.SEVERAL_VALUES, "MedicationAdministration.statusReason"))
    return concept_text(reasons[0])


def _dosage(
    dosage: Dosage | None, status: str | None, kind: str | None, context: Context, notes: list[Note]
) -> dict[str, object]:
    """Return dose, route and rate; what was not given has no dose, whatever was planned."""
    if dosage is None:
        return NO_DOSE
    route = context.codes.read(dosage.route, "MedicationAdministration.dosage.route", notes)
    values: dict[str, object] = {"route": route.concept or route.source_code}
    rate = dosage.rate_quantity or dosage.rate_simple_quantity
    if rate is not None:
        values["rate_value"], values["rate_unit"] = _number_and_unit(rate, context)
    elif dosage.rate_ratio is not None:
        values["rate_value"], values["rate_unit"] = _ratio(dosage.rate_ratio, context)
    dose = dosage.dose or dosage.quantity
    if dose is not None and status != "not-done":
        values |= _dose(dose, kind, context, notes)
    return values


def _dose(dose: Quantity, kind: str | None, context: Context, notes: list[Note]) -> dict[str, object]:
    """Return a dose as sent, and in cells when its unit counts cells; a bare number is no dose."""
    path = "MedicationAdministration.dosage.dose"
    text = number_text(dose.value, path)
    if text is None:
        return NO_DOSE
    use = context.quantities.use(UNCODED, dose.system, dose.code, dose.unit)
    unit = use.source_unit or (dose.code or "").strip() or None
    values: dict[str, object] = {"dose_value": finite(text), "dose_text": text, "dose_unit": unit}
    if dose.comparator is not None:  # FHIR forbids it here; "less than 100" is no dose of 100
        notes.append(Note(Reason.NOT_CONFORMANT, f"{path}.comparator"))
        return values | {"dose_text": f"{dose.comparator.strip()}{text}"}
    if unit is None:
        notes.append(Note(Reason.DOSE_WITHOUT_UNIT, path))
        return values
    if kind not in (None, CELL_PRODUCTS):
        return values
    cells = _cells(text, use, (dose.unit or "").strip(), context, notes)
    if cells is None:
        if kind == CELL_PRODUCTS:
            notes.append(Note(Reason.UNKNOWN_UNIT, path))
    elif cells[0] < 0:
        notes.append(Note(Reason.IMPLAUSIBLE_VALUE, path))
    else:
        values["dose_cells_per_kg" if cells[1] else "dose_cells"] = cells[0]
    return values


def _cells(
    text: str, use: UnitUse, unit: str, context: Context, notes: list[Note]
) -> tuple[float, bool] | None:
    """Return a dose in cells by its code; the text speaks where there is no code that UCUM knows."""
    units = context.catalogue.units
    sent = use.source_unit or ""
    by_text = units.dose_cells(text, unit) if unit else None
    found = units.dose_cells(text, sent) if units.canonical(sent) else by_text
    if sent == UNITY and unit and by_text is None:  # one bag is not one cell
        found = None
    if found is None or found != by_text:  # 10*6 with the text "million cells" says one thing twice
        notes.extend(Note(reason, "MedicationAdministration.dosage.dose") for reason in use.notes)
    return found


def _number_and_unit(quantity: Quantity, context: Context) -> tuple[float | None, str | None]:
    sent = number_text(quantity.value, "MedicationAdministration.dosage.rate[x]")
    use = context.quantities.use(UNCODED, quantity.system, quantity.code, quantity.unit)
    return finite(sent) if sent is not None else None, use.source_unit


def _ratio(ratio: Ratio, context: Context) -> tuple[float | None, str | None]:
    """Return the upper number as sent; its unit holds the lower one: 100 mL in 30 min is 100 mL/(30.min)."""
    if ratio.numerator is None or ratio.denominator is None:
        return None, None
    above, unit = _number_and_unit(ratio.numerator, context)
    below, per = _number_and_unit(ratio.denominator, context)
    if below is None or per is None:
        return None, None
    return above, f"{unit or ''}/{per if below == 1 else f'({below:g}.{per})'}"
