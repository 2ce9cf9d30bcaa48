"""What six synthetic subjects were given, and what harm was seen."""

from datetime import timedelta

from report_course_fixture import MONTH, SIX, START, later

from fhiradapter.results import (
    ConcomitantCheck,
    ConcomitantFinding,
    Coverage,
    Discharge,
    DoseLimiting,
    Exposure,
    Incidence,
    Infusion,
    LabShift,
    Safety,
    SubjectExposure,
    Term,
)


def infusions(index: int) -> list[Infusion]:
    planned = [0, 7, 14, 21, *[21 + 28 * step for step in range(1, 7)]]
    given = planned[: 7 if index == 3 else None] + ([220, 280] if index == 4 else [226] if index == 1 else [])
    found = []
    for number, day in enumerate(given):
        extra = number >= 10
        missed = (index, number) in {(1, 5), (2, 8)}
        late = (index, number) == (5, 6)
        found.append(
            Infusion(
                subject_id=SIX[index],
                row_id=f"x{index}{number}",
                status="not-done" if missed else "stopped" if (index, number) == (0, 3) else "completed",
                started_on=START + timedelta(days=day + 5 * late),
                day=day + 5 * late + 1,
                months=(day + 5 * late) / MONTH,
                cells=None if missed else 1e8,
                planned_visit=None if extra else number + 1,
                timing="additional" if extra else "missed" if missed else "late" if late else "on_time",
                same_day_discharge=True,
                notes=("upper respiratory infection",) if missed else (),
            )
        )
    return found


def treated_exposure() -> Exposure:
    timeline = [infusion for index in range(6) for infusion in infusions(index)]
    subjects = []
    for name in SIX:
        own = [infusion for infusion in timeline if infusion.subject_id == name]
        done = [infusion for infusion in own if infusion.status != "not-done"]
        timing = [infusion.timing for infusion in own]
        subjects.append(
            SubjectExposure(
                subject_id=name,
                infusions=len(done),
                planned=10,
                cells=len(done) * 1e8,
                dose_intensity_percent=10.0 * len(done),
                duration_days=done[-1].day,
                longest_gap_days=56,
                interrupted=sum(infusion.status == "stopped" for infusion in own),
                not_done=sum(infusion.status == "not-done" for infusion in own),
                **{key: timing.count(key) for key in ("on_time", "early", "late", "missed", "additional")},
            )
        )
    total = sum(subject.infusions for subject in subjects)
    return Exposure(
        concept="treg_cord_blood",
        infusions={"median": 10.0, "min": 7.0, "max": 12.0, "total": float(total)},
        cells={"median": 1e9, "total": total * 1e8},
        dose_intensity_percent={"median": 100.0},
        adherence={
            key: sum(getattr(subject, key) for subject in subjects)
            for key in ("on_time", "early", "late", "missed", "additional")
        },
        excluded={"not-done": 2, "entered-in-error": 1},
        subjects=tuple(subjects),
        timeline=tuple(timeline),
        concomitant=ConcomitantCheck(
            excluded_kinds=("lymphodepletion", "immunosuppression", "interleukin_2"),
            subjects_checked=6,
            administrations_checked=143,
            unmapped_administrations=4,
            undated_administrations=1,
            findings=(
                ConcomitantFinding(
                    subject_id="syn-05",
                    row_id="c1",
                    concept="prednisone",
                    kind="immunosuppression",
                    started_on=later(3.2),
                ),
            ),
        ),
        discharge=Discharge(infusions=total, with_encounter=54, same_day=53, percent=98.148),
    )


def incidence(
    count: int, events: int, clopper: tuple[float, float], wilson: tuple[float, float]
) -> Incidence:
    return Incidence(
        count=count, n=6, events=events, percent=100 * count / 6, clopper_pearson=clopper, wilson=wilson
    )


NOBODY = ((0.0, 45.926), (0.0, 39.033))


def treated_safety() -> Safety:
    return Safety(
        overview={
            "any treatment-emergent adverse event": incidence(5, 14, (35.877, 99.579), (43.65, 96.99)),
            "related": incidence(3, 5, (11.812, 88.188), (18.76, 81.24)),
            "grade 3 or more": incidence(0, 0, *NOBODY),
            "serious": incidence(1, 1, (0.421, 64.123), (3.005, 56.35)),
            "leading to discontinuation": incidence(0, 0, *NOBODY),
            "fatal": incidence(0, 0, *NOBODY),
        },
        terms=(
            Term(
                system="General disorders",
                term="Fatigue",
                subjects=3,
                events=5,
                by_worst_grade={"1": 2, "2": 1, "unknown": 0},
            ),
            Term(
                system="General disorders",
                term="Infusion-related reaction",
                subjects=1,
                events=1,
                by_worst_grade={"2": 1},
            ),
            Term(
                system="Infections",
                term="Upper respiratory infection",
                subjects=2,
                events=4,
                by_worst_grade={"1": 1, "unknown": 1},
            ),
            Term(system=None, term="Fall", subjects=3, events=4, by_worst_grade={"1": 3}),
        ),
        labs=(
            LabShift(
                test="Alanine aminotransferase increased",
                direction="high",
                grade_shift={"0": {"0": 4, "1": 1}, "1": {"1": 1}},
                not_gradable=0,
                treatment_emergent=1,
            ),
            LabShift(
                test="Lymphocyte count decreased",
                direction="low",
                grade_shift={"0": {"0": 3, "2": 1}, "not_gradable": {"0": 2}},
                not_gradable=2,
                treatment_emergent=1,
            ),
        ),
        ctcae_version="5.0",
        dose_limiting=DoseLimiting(
            n=0,
            events=(),
            rule="infusion reaction within 24 hours, regimen-related death, or grade 3 to 4 cytokine release "
            "syndrome within 14 days",
        ),
        notes={"start_missing_counted_as_emergent": 1},
        sources={
            "AdverseEvent": Coverage(
                read=True,
                received=14,
                mapped=14,
                first_on=later(0.1),
                last_on=later(12),
                statement="read: 14 rows of 5 of 6 subjects, 2021-03-04 to 2022-03-01",
            ),
            "Condition": Coverage(
                read=False,
                received=0,
                mapped=0,
                first_on=None,
                last_on=None,
                statement="not read: absence is not zero events",
            ),
            "Observation (labs)": Coverage(
                read=True,
                received=812,
                mapped=799,
                first_on=later(-2),
                last_on=later(20),
                statement="read: 799 rows of 6 of 6 subjects, 2020-12-30 to 2022-10-31",
            ),
        },
    )
