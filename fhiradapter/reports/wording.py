"""The words that a report shows for the names that results carry."""

import re

LABELS = {
    "alsfrs_r_total": "ALSFRS-R total",
    "nfl_serum_plasma": "Neurofilament light",
    "interleukin_2": "Interleukin-2",
    "nfl_csf": "Neurofilament light in CSF",
    "not_nearest_to_visit": "Another value was nearer to the planned visit",
    "unscheduled": "In the window of no planned visit",
    "no_index_date": "No index date to count visits from",
    # tests that are known by their abbreviation
    "alt": "ALT",
    "ast": "AST",
    "alp": "ALP",
    "ggt": "GGT",
    "ldh": "LDH",
    "crp": "CRP",
    "inr": "INR",
    "aptt": "aPTT",
    "bmi": "BMI",
    "bilirubin_total": "Total bilirubin",
    "interleukin_6": "Interleukin-6",
    "systolic_bp": "Systolic blood pressure",
    "diastolic_bp": "Diastolic blood pressure",
    "fvc_litres": "FVC in litres",
    "fvc_percent_predicted": "FVC, % predicted",
    "svc_litres": "SVC in litres",
    "svc_percent_predicted": "SVC, % predicted",
    # periods
    "before": "Before treatment",
    "during": "During treatment",
    "after": "After treatment",
    "all": "Whole follow-up",
    "during_minus_before": "During \N{MINUS SIGN} before",
    "after_minus_before": "After \N{MINUS SIGN} before",
    "after_minus_during": "After \N{MINUS SIGN} during",
    # characteristics
    "age": "Age",
    "sex": "Sex",
    "arm": "Arm",
    "baseline_score": "Score at baseline",
    "delta_fs": "Loss since onset (Delta-FS)",
    "onset_months": "Months since symptom onset",
    "months_since_onset": "Months since symptom onset",
    # adherence
    "on_time": "On time",
    "additional": "Additional doses",
    "not-done": "Not done",
    "in-progress": "In progress",
    "on-hold": "On hold",
    "entered-in-error": "Entered in error",
    # safety overview
    "any treatment-emergent adverse event": "Any treatment-emergent adverse event (TEAE)",
    "related": "Related to treatment",
    "grade 3 or more": "Severe: grade \N{GREATER-THAN OR EQUAL TO} 3",
    # model terms
    "intercept": "Intercept",
    "slope": "Slope",
    "time": "Slope per month",
}

AT_BASELINE = " at baseline"

TIME_ORIGINS = {
    "first_dose": "first dose",
    "first_score": "first score",
    "index": "index date (first dose, else first score)",
    "onset": "symptom onset",
}


def label(name: str) -> str:
    """Return the words for a name, or the name itself without underscores.

    >>> label("during"), label("male"), label("Anti-HLA antibodies")
    ('During treatment', 'Male', 'Anti-HLA antibodies')
    >>> label("nfl_serum_plasma:plasma at baseline")
    'Neurofilament light in plasma at baseline'
    >>> label("nfl_serum_plasma:plasma:ELISA")
    'Neurofilament light in plasma (ELISA)'
    """
    if name in LABELS:
        return LABELS[name]
    if name.endswith(AT_BASELINE):
        return label(name.removesuffix(AT_BASELINE)) + AT_BASELINE
    concept, colon, matrix = name.partition(":")
    if colon and concept in LABELS:
        matrix, also, method = matrix.partition(":")
        return f"{LABELS[concept]} in {matrix}" + (f" ({method})" if also else "")
    if re.fullmatch(r"[a-z0-9_ ,-]+", name):
        words = name.replace("_", " ")
        return words[:1].upper() + words[1:]
    return name


def inner(name: str) -> str:
    """Return the words for a name inside a sentence.

    >>> inner("during"), inner("alsfrs_r_total")
    ('during treatment', 'ALSFRS-R total')
    """
    words = label(name)
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


def plural(number: int, noun: str, *, many: str | None = None) -> str:
    """Return a count with its noun.

    >>> plural(1, "subject"), plural(2, "subject"), plural(0, "dose")
    ('1 subject', '2 subjects', '0 doses')
    """
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def sentence(text: str) -> str:
    """Return a remark as a sentence.

    >>> sentence("only one score")
    'Only one score.'
    """
    stripped = text.strip()
    start = stripped[:1].upper() + stripped[1:]
    return start if not start or start[-1] in ".!?" else start + "."
