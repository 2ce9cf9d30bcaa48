"""A figure as inline SVG: the same bytes for the same drawing, with ids that no other figure has."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from fhiradapter.reports.formats import plain

# Okabe and Ito, "Color Universal Design" (2008): told apart with every kind of colour vision.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
INK, GREY, PALE = "#1c2126", "#6b747c", "#e4e7ea"

# Colour never stands alone: each period has its own dash, each subject its own marker.
PERIOD_COLOURS = {"before": VERMILION, "during": BLUE, "after": GREEN, "all": BLUE}
PERIOD_DASHES = {"before": (0, (3, 1.5)), "during": "-", "after": (0, (1.1, 1.1)), "all": "-"}
SUBJECT_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
SUBJECT_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

WIDE, NARROW = 760, 350  # CSS pixels: a desktop column and a phone

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fhiradapter",
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same widths on every machine
    "font.size": 11,
    "text.parse_math": False,  # a subject id may hold dollar signs
    "text.color": INK,
    "axes.edgecolor": "#9aa2a9",
    "axes.labelcolor": INK,
    "axes.labelsize": 11,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "xtick.color": "#9aa2a9",
    "ytick.color": "#9aa2a9",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One figure, drawn for a wide page and again for a phone."""

    wide: Markup
    narrow: Markup


@contextmanager
def drawing_style() -> Iterator[None]:
    """Draw in the report's style, whatever the caller's matplotlib settings are."""
    with mpl.rc_context(), warnings.catch_warnings():
        # The reader's browser has fonts for scripts that DejaVu lacks.
        warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def sheet(width: float, height: float) -> Figure:
    """Return an empty figure, measured in CSS pixels."""
    return Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")


def month_ticks(axes: Axes, *, most: int) -> None:
    """Put ticks at months that people count in: every 3, 6 or 12; a wrong date can be centuries away."""
    first, last = axes.get_xlim()
    steps = (1, 2, 3, 6, 12, 24, 60, 120)
    step = next((step for step in steps if (last - first) / step <= most), None)
    if step is None:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=most))
        return
    axes.xaxis.set_major_locator(MultipleLocator(step))


def score_ticks(axes: Axes, maximum: float) -> None:
    """Put ticks at quarters of a scale such as 0 to 48, else at round numbers."""
    low, high = axes.get_ylim()
    quarters = maximum > 0 and maximum % 4 == 0 and high - low <= 2 * maximum
    axes.yaxis.set_major_locator(MultipleLocator(maximum / 4) if quarters else MaxNLocator(nbins=5))


def caption_axes(axes: Axes, *, x: str, y: str) -> None:
    """Name both axes."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def inline_svg(figure: Figure, *, name: str, title: str, description: str) -> Markup:
    """Return the figure as an `svg` element whose ids all start with `name`.

    Two figures in one page would otherwise share ids, and the clip path of one would cut the other.
    """
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314 - written by matplotlib a line above
    for element in root.iter():
        element.tag = local_name(element.tag)
        attributes = {local_name(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        for key, value in attributes.items():
            element.set(key, with_prefix(key, value, name))
    for parent in root.iter():
        # metadata is of no use in a page; matplotlib's style element would apply to the whole page
        for child in [child for child in parent if child.tag in {"metadata", "style"}]:
            parent.remove(child)
    label = ElementTree.Element("title")
    label.text = plain(title)
    root.insert(0, label)
    box = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update(
        {"id": name, "viewBox": box, "role": "img", "aria-label": f"{plain(title)}. {plain(description)}"}
    )
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - escaped by ElementTree


def local_name(name: str) -> str:
    """Return an XML name without its namespace, as HTML wants it.

    >>> local_name("{http://www.w3.org/1999/xlink}href")
    'href'
    """
    return name.rpartition("}")[2]


def with_prefix(key: str, value: str, prefix: str) -> str:
    """Return an attribute's value with ids, and references to them, under a prefix.

    >>> with_prefix("clip-path", "url(#p1)", "plot"), with_prefix("href", "#m2", "plot")
    ('url(#plot-p1)', '#plot-m2')
    """
    if key == "id":
        return f"{prefix}-{value}"
    if key == "href":
        return f"#{prefix}-{value.removeprefix('#')}"
    return value.replace("url(#", f"url(#{prefix}-")
