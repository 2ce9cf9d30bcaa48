"""The abbreviations that a report may use, in words."""

import re

ABBREVIATIONS = {
    "ALP": "alkaline phosphatase",
    "ALS": "amyotrophic lateral sclerosis",
    "ALSFRS-R": "revised ALS functional rating scale: 12 items, 0 to 48 points, 48 is normal",
    "ALT": "alanine aminotransferase",
    "aPTT": "activated partial thromboplastin time",
    "AST": "aspartate aminotransferase",
    "CAFS": "Combined Assessment of Function and Survival (Berry and others, 2013)",
    "CRP": "C reactive protein",
    "CSF": "cerebrospinal fluid",
    "CTCAE": "Common Terminology Criteria for Adverse Events, US National Cancer Institute",
    "d": "days",
    "Delta-FS": "loss of score per month between symptom onset and baseline",
    "FDA": "US Food and Drug Administration",
    "FHIR": "Fast Healthcare Interoperability Resources, the HL7 standard that hospital data came in",
    "FVC": "forced vital capacity",
    "GGT": "gamma-glutamyltransferase",
    "INR": "international normalised ratio of clotting time",
    "LDH": "lactate dehydrogenase",
    "MiToS": "Milano-Torino stages of ALS: 0 to 4 by functions that lost their independence, 5 death",
    "NfL": "neurofilament light",
    "p": "probability of a difference at least this large if there were none",
    "REML": "restricted maximum likelihood, the criterion that the mixed model maximises",
    "SD": "standard deviation",
    "SE": "standard error",
    "SVC": "slow vital capacity",
    "TEAE": "treatment-emergent adverse event",
    "UCUM": "Unified Code for Units of Measure",
    "ULN": "upper limit of normal",
    "UTC": "coordinated universal time",
}


def used_abbreviations(text: str) -> tuple[tuple[str, str], ...]:
    """Return the abbreviations that stand as words in a text, with their meaning.

    >>> [short for short, _ in used_abbreviations("<td>SE</td><p>ALSFRS-R total</p>")]
    ['ALSFRS-R', 'SE']
    """
    visible = re.sub(r"<(style|svg)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    return tuple(
        (short, meaning)
        for short, meaning in ABBREVIATIONS.items()
        if re.search(rf"(?<![\w-]){re.escape(short)}(?![\w-])", visible)
    )
