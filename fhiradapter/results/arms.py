"""What the arms of a study show beside each other."""

from fhiradapter.results.base import Interval, Result, Spread
from fhiradapter.results.incidence import Incidence
from fhiradapter.results.progression import MixedModel
from fhiradapter.results.subjects import CharacteristicRow


class ArmSummary(Result, frozen=True, kw_only=True):
    """One arm: who is in it, what they were given, who died."""

    n: int
    treated: int  # with at least one dose of the product or of a comparator
    infusions: Spread | None  # of the treated; null in a study without treatment
    deaths: int
    baseline_table: tuple[CharacteristicRow, ...]


class ArmSlope(Result, frozen=True, kw_only=True):
    """The slopes of one arm's adequate subjects, points per month."""

    arm: str
    n: int
    mean_slope: float | None
    sd: float | None
    se: float | None
    ci95: Interval | None  # Student t
    excluded: int


class ArmDifference(Result, frozen=True, kw_only=True):
    """Difference of an arm's mean slope from the reference arm's, by Welch."""

    arm: str
    n: int
    reference_n: int
    estimate: float | None
    se: float | None
    degrees_of_freedom: float | None
    ci95: Interval | None
    p: float | None  # two-sided


class Arms(Result, frozen=True, kw_only=True):
    """What the arms show beside each other."""

    reference: str
    arms: dict[str, ArmSummary]
    without_arm: tuple[str, ...]  # subjects that no arm is told of: in no comparison
    period: str  # of the slopes and the model
    slopes: tuple[ArmSlope, ...]
    differences: tuple[ArmDifference, ...]
    model: MixedModel | None  # its contrasts are by arm: difference of slopes from the reference
    model_note: str | None  # why there is none
    overview: dict[str, dict[str, Incidence]]  # arm -> line -> incidence; empty when events were not read
    cautions: tuple[str, ...]
