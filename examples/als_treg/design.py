"""The six invented people: who they are, when they are dosed, scored and sampled."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Subject:
    """One invented person; every `*_days` counts local days from the first dose."""

    id: str
    given: str
    sex: str
    birth: str
    first_dose: date
    region: str
    onset: str
    baseline_score: int
    slopes: tuple[float, float, float | None]  # aimed at, points a month: before, during, after
    before_days: tuple[int, ...]
    during_days: tuple[int, ...]
    after_days: tuple[int, ...]
    dose_days: tuple[int, ...]
    lab_days: tuple[int, ...]
    neurofilament: tuple[tuple[int, float], ...]  # day, plasma pg/mL
    not_done: tuple[int, str] | None = None

    @property
    def score_days(self) -> tuple[int, ...]:
        """All days with a score, in order."""
        return self.before_days + self.during_days + self.after_days


# Four weekly doses, then every 28 days, as planned: 0 7 14 21 49 77 105 133 161 189; what lies elsewhere is
# early, late or an additional dose. No score falls within two days of the last dose + 30 days, where a
# period ends.
SUBJECTS = (
    Subject(
        id="als-treg-01",
        given="Alder",
        sex="female",
        birth="1971-05-14",
        first_dose=date(2022, 9, 13),
        region="spinal",
        onset="2021-06-20",
        baseline_score=31,
        slopes=(-1.50, -0.45, -0.60),
        before_days=(-182, -119, -63, -14, 0),
        during_days=(28, 49, 105, 161, 217, 238),
        after_days=(301, 392, 470, 548),
        dose_days=(0, 7, 14, 21, 49, 68, 105, 133, 161, 189, 217),
        lab_days=(-14, 0, 21, 105, 217, 301, 548),
        neurofilament=((-14, 71.0), (0, 68.4), (105, 59.7), (217, 52.1), (301, 50.8), (548, 53.0)),
    ),
    Subject(
        id="als-treg-02",
        given="Birch",
        sex="male",
        birth="1976-03",
        first_dose=date(2022, 11, 1),
        region="spinal",
        onset="2021",
        baseline_score=36,
        slopes=(-1.30, -0.30, -0.50),
        before_days=(-240, -150, -90, -30, 0),
        during_days=(49, 105, 161, 217, 273, 322),
        after_days=(392, 483, 560, 651),
        dose_days=(0, 7, 18, 21, 49, 77, 105, 161, 189, 245, 273, 301),
        lab_days=(-30, 0, 21, 49, 161, 301, 651),
        neurofilament=((0, 41.2), (105, 38.9), (189, 34.0), (301, 31.7), (651, 33.1)),
        not_done=(133, "Subject had a cold; infusion withheld"),
    ),
    Subject(
        id="als-treg-03",
        given="Cedar",
        sex="male",
        birth="1956-12-30",
        first_dose=date(2023, 2, 7),
        region="spinal",
        onset="2022-03",
        baseline_score=28,
        slopes=(-2.20, -0.55, -0.90),
        before_days=(-160, -100, -45, 0),
        during_days=(21, 77, 133, 199),
        after_days=(270, 340, 397, 452),
        dose_days=(0, 7, 14, 21, 49, 77, 105, 133, 161, 199),
        lab_days=(-45, 0, 21, 77, 199, 270, 452),
        neurofilament=((0, 95.3), (77, 90.1), (133, 79.5), (199, 74.2), (452, 81.6)),
    ),
    Subject(
        id="als-treg-04",
        given="Dahlia",
        sex="female",
        birth="1995-02-11",
        first_dose=date(2022, 6, 14),
        region="spinal",
        onset="2020-10-05",
        baseline_score=40,
        slopes=(-0.90, -0.10, -0.40),
        before_days=(-300, -200, -110, -40, 0),
        during_days=(49, 105, 161, 224, 259, 280),
        after_days=(350, 450, 550, 652, 761),
        dose_days=(0, 7, 14, 21, 49, 105, 133, 161, 189, 224, 259),
        lab_days=(-40, 0, 21, 105, 259, 350, 761),
        neurofilament=((0, 33.5), (105, 27.9), (189, 24.4), (259, 22.8), (450, 23.9), (761, 25.2)),
        not_done=(77, "Intravenous access not possible"),
    ),
    Subject(
        id="als-treg-05",
        given="Elm",
        sex="male",
        birth="1965-01-22",
        first_dose=date(2023, 8, 15),
        region="bulbar",
        onset="2022-07",
        baseline_score=24,
        slopes=(-2.50, -0.70, None),  # the two scores after treatment are 23 days apart
        before_days=(-135, -75, -28, 0),
        during_days=(28, 77, 133, 189, 245, 301, 324),
        after_days=(345, 368),
        dose_days=(0, 7, 14, 21, 49, 77, 105, 133, 161, 189, 217, 245, 273, 301),
        lab_days=(-28, 0, 21, 105, 189, 301, 368),
        neurofilament=((0, 121.0), (105, 112.4), (189, 104.9), (301, 97.3), (368, 99.8)),
    ),
    Subject(
        id="als-treg-06",
        given="Fern",
        sex="female",
        birth="1984-09-03",
        first_dose=date(2024, 1, 23),
        region="bulbar",
        onset="2022-11-28",
        baseline_score=32,
        slopes=(-1.56, -0.36, None),  # one score after treatment, and five months of follow-up
        before_days=(-210, -140, -70, -21, 0),
        during_days=(28, 77, 114, 133),
        after_days=(158,),
        dose_days=(0, 7, 14, 21, 49, 77, 114),
        lab_days=(-21, 0, 21, 77, 114, 158),
        neurofilament=((0, 77.6), (77, 69.3), (158, 66.5)),
    ),
)
