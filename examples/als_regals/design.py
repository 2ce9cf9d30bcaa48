"""The twenty-four invented people: who they are, which arm they are in, and when they are seen."""

import random
from dataclasses import dataclass
from datetime import date, timedelta

SEED = 20_250_301
COUNT = 24
ARMS = ("CK0803", "Placebo")
PLAN = (0, 7, 14, 21, 49, 77, 105, 133, 161)  # four weekly infusions, then five 28 days apart
SCREENING = (-56, -28)
FOLLOW_UP = (203, 245, 287, 336)
SCORED = (*SCREENING, 0, 21, 49, 77, 105, 133, 161, *FOLLOW_UP)
SAMPLED = (0, 49, 105, 161, 245)  # blood and neurofilament

# fmt: off
NAMES = (
    "Aspen", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Gingko", "Hazel",
    "Iris", "Juniper", "Katsura", "Larch", "Maple", "Nutmeg", "Olive", "Pine",
    "Quince", "Rowan", "Spruce", "Tamarack", "Ulmus", "Viburnum", "Willow", "Yew",
)
# fmt: on

# What happens to people, by number: the day that is the last one seen, or the day of death.
DEATHS = {3: 262, 6: 301, 16: 188}
LEFT = {4: 140, 9: 84, 20: 210}
VENTILATED = {23: 274}
NOT_DONE = {14: (105, "Subject had a respiratory infection; infusion withheld")}
INTERRUPTED = {2: (14, 40.0)}  # infusion reaction: stopped after 40 of 100 million cells
# Further doses, off plan: numbers to (planned day, day given)
SHIFTED = {1: (77, 81), 8: (49, 40), 13: (133, 143)}
PARTIAL_ONSET = frozenset({5, 16})
QUESTIONNAIRE_SITE = range(1, 17)  # the others are seen at a hospital that sends panels
GASTROSTOMY = {17: 133}


@dataclass(frozen=True)
class Subject:
    """One invented person; days count from the first dose."""

    number: int
    given: str
    arm: str
    sex: str
    birth: str
    region: str
    first_dose: date
    onset: str
    baseline_score: int
    slopes: tuple[float, float, float]  # aimed at, points a month: before, during, after

    @property
    def id(self) -> str:
        """Patient id."""
        return f"als-regals-{self.number:02d}"

    @property
    def last_day(self) -> int:
        """Day after which nobody saw this person: death, leaving, or the end of the study."""
        return min(DEATHS.get(self.number, 336), LEFT.get(self.number, 336))

    @property
    def doses(self) -> tuple[int, ...]:
        """Days of the infusions that were given."""
        shifted = dict([SHIFTED[self.number]]) if self.number in SHIFTED else {}
        missed = {NOT_DONE[self.number][0]} if self.number in NOT_DONE else set()
        return tuple(shifted.get(day, day) for day in PLAN if day <= self.last_day and day not in missed)

    @property
    def scored(self) -> tuple[int, ...]:
        """Days of the visits with a score."""
        return tuple(day for day in SCORED if day <= self.last_day)

    @property
    def sampled(self) -> tuple[int, ...]:
        """Days of the visits with blood."""
        return tuple(day for day in SAMPLED if day <= self.last_day)


def scatter(chance: random.Random) -> float:
    """Draw around 0 with a standard deviation of 1, within 3.5; the same on every machine."""
    return (sum(chance.random() for _ in range(4)) - 2) / 0.57735


def allocation(chance: random.Random) -> list[str]:
    """Arms in blocks of four, two of each arm in a block."""
    arms: list[str] = []
    while len(arms) < COUNT:
        block = [*ARMS, *ARMS]
        chance.shuffle(block)
        arms += block
    return arms


def subjects() -> tuple[Subject, ...]:
    """Draw everybody; who dies or leaves was set above and loses more points than the others."""
    arms = allocation(random.Random(f"{SEED} arms"))
    people = []
    for number in range(1, COUNT + 1):
        chance = random.Random(f"{SEED} {number}")
        first_dose = date(2023, 3, 6) + timedelta(days=14 * number + chance.randrange(0, 4))
        pace = max(0.35, 1.05 + 0.3 * scatter(chance) + (0.75 if number in DEATHS else 0.0))
        during = pace * (0.82 if arms[number - 1] == "CK0803" else 0.98) + 0.08 * scatter(chance)
        months = 12 + chance.randrange(0, 13)
        onset = first_dose - timedelta(days=round(30.4375 * months))
        text = onset.isoformat()[: 7 if number in PARTIAL_ONSET else 10]
        lost = min(12, max(3, round(pace * months * 0.5)))  # the registered entry criterion: 36 to 45 points
        people.append(
            Subject(
                number=number,
                given=NAMES[number - 1],
                arm=arms[number - 1],
                sex=chance.choice(("female", "male", "male")),
                birth=date(1946 + chance.randrange(0, 38), chance.randrange(1, 13), 15).isoformat(),
                region=chance.choice(("spinal", "spinal", "bulbar")),
                first_dose=first_dose,
                onset=text,
                baseline_score=48 - lost,
                slopes=(-pace, -max(during, 0.1), -pace * 0.95),
            )
        )
    return tuple(people)


SUBJECTS = subjects()
