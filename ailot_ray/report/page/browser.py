"""What the page shows, by view: figures of the trials that a filter leaves. Knows no server: the shared file uses it too."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from ailot_ray.report.figures import overview, series, settings
from ailot_ray.report.figures.canvas import to_svg
from ailot_ray.report.grouping import Group, distinct, group
from ailot_ray.report.look import label_of
from ailot_ray.report.page.sources import Snapshot, Sources, matching, swept_paths
from ailot_ray.report.record import Trial
from ailot_ray.report.tables import SUBSTITUTED_NOTE, usual_notes

VIEWS = {
    "trials": "Trials",
    "curves": "Learning curves",
    "against": "Score against a setting",
    "heat": "Heat map",
    "profile": "Performance profiles",
    "comparison": "Comparison",
    "trial": "One trial",
}
EXPLAIN = {
    "curves": "Mean normalised score of the policies on the way, by gradient steps. The band is one standard deviation over "
    "runs: seeds, and settings that a line takes together.",
    "against": "Mean normalised score by one setting, with the 95 % interval of the mean (Student's t below ten runs, else a "
    "bootstrap). Dots are single runs. "
    "Left out are runs in which another setting is not at its usual value.",
    "heat": "Mean normalised score by two settings: mean ± standard deviation, and the number of runs. Left out are runs in "
    "which another setting is not at its usual value.",
    "profile": "The share of runs that score above s, over all tasks together: a curve further up and right is better at any "
    "threshold. Bands are pointwise bootstrap 95 % intervals, resampled within tasks.",
    "comparison": "Every configuration with its seeds. Published scores stand beside results on D4RL's own files only.",
}
CONTROLS = {"curves": ("by",), "against": ("by", "across"), "heat": ("across", "up"), "profile": ("by",), "comparison": ()}
"""What of a figure can be chosen, by view."""
_NEEDS_PATHS = {"against": 1, "heat": 2}
"""How many settings with more than one value a view needs."""


@dataclass(frozen=True)
class Choice:
    """What the controls of a figure may be set to, and what they are set to."""

    by: str
    across: str
    up: str
    options_by: tuple[str, ...]
    options_path: tuple[str, ...]


class Page:
    """The trials that a filter leaves of the stores at one moment, and what each view makes of them, made when asked for."""

    def __init__(self, runs: Sequence[Trial]) -> None:
        self.runs = tuple(distinct(runs))
        self.done = [run for run in self.runs if run.done]
        self._svgs: dict[tuple[str, Choice], str] = {}

    @functools.cached_property
    def rows(self) -> list[Group]:
        """The rows of the results table."""
        return group(self.done)

    @functools.cached_property
    def paths(self) -> list[str]:
        """The settings in which finished trials of one method differ."""
        return swept_paths(self.done)

    @functools.cached_property
    def telling(self) -> list[str]:
        """The settings in which any trials of one method differ, finished or not."""
        return swept_paths(self.runs)

    @functools.cached_property
    def notes(self) -> list[str]:
        """What the names of configurations leave unsaid, and what a star beside a file means, where there are such."""
        stars = [SUBSTITUTED_NOTE] if any(run.substituted for run in self.done) else []
        return [*usual_notes(self.rows), *stars]

    def choice(self, view: str, by: str | None = None, across: str | None = None, up: str | None = None) -> Choice:
        """The wanted controls where they can be had, else the most telling ones."""
        options, default = series.choices(self.rows, self.paths)
        across = across if across in self.paths else next(iter(self.paths), "")
        rest = [path for path in self.paths if path != across]
        up = up if up in rest else next(iter(rest), "")
        if view == "against":
            options = [option for option in options if option not in (series.CONFIGURATION, across)]
            default = series.METHOD
        return Choice(by if by in options else default, across, up, tuple(options), tuple(self.paths))

    def svg(self, view: str, choice: Choice) -> str | None:
        """The figure of a view as SVG, or None where there is nothing to draw yet (see `lacks`)."""
        if (view, choice) not in self._svgs and not self.lacks(view, choice):
            self._svgs[view, choice] = to_svg(self.figure(view, choice), f"{view} {choice}")
        return self._svgs.get((view, choice))

    def lacks(self, view: str, choice: Choice) -> str:
        """Why a view has no figure; empty where it has one."""
        if not self.done:
            return "No trial has finished yet: figures appear with the first." if self.runs else "No trial matches the filter."
        if len(self.paths) < _NEEDS_PATHS.get(view, 0):
            wanted = "one setting" if _NEEDS_PATHS[view] == 1 else "two settings"
            return f"This needs finished trials that differ in at least {wanted}: run a sweep, or widen the filter."
        asked = {"against": (choice.across,), "heat": (choice.across, choice.up)}.get(view)
        if asked and not series.split(self._panels(view, choice), asked):
            return f"No two finished trials differ in {' and '.join(asked)} alone."
        return ""

    def figure(self, view: str, choice: Choice) -> Figure:
        """The figure of a view that lacks nothing."""
        panels = self._panels(view, choice)
        if view == "heat":
            paths = (choice.across, choice.up)
            return settings.heat_map(series.split(panels, paths), *paths)
        if view == "against":
            return settings.score_against(panels, choice.across)
        drawn = {
            "curves": overview.learning_curves,
            "profile": overview.performance_profile,
            "comparison": overview.final_scores,
        }
        return drawn[view](panels)

    def _panels(self, view: str, choice: Choice) -> list[series.Panel]:
        if view == "heat":
            return series.make_panels(self.rows, series.METHOD, self._varying(choice.across, choice.up))
        if view == "against":
            return series.make_panels(self.rows, choice.by, self._varying(choice.across, choice.by))
        return series.make_panels(self.rows, series.CONFIGURATION if view == "comparison" else choice.by)

    def _varying(self, *paths: str) -> set[str]:
        """The trials whose other settings are the usual ones, so that a difference between them is one of `paths`."""
        return {digest for row in self.rows if row.departures <= set(paths) for digest in row.digests}


class Browser:
    """Pages over stores that may grow: the last few are kept, so that a view of what has not changed costs nothing."""

    def __init__(self, sources: Sources, kept: int = 8) -> None:
        self.sources = sources
        self._pages: dict[tuple[str, tuple[str, ...]], Page] = {}
        self._kept = kept

    def page(self, filters: Sequence[str] = ()) -> tuple[Snapshot, Page]:
        """The stores as they are now, and the page of the trials that meet `filters` (see `sources.matching`)."""
        snapshot = self.sources.read()
        key = (snapshot.version, tuple(filters))
        if key not in self._pages:
            while len(self._pages) >= self._kept:
                self._pages.pop(next(iter(self._pages)), None)
            self._pages[key] = Page(matching(snapshot.runs, filters))
        return snapshot, self._pages[key]


def name_of(run: Trial, paths: Sequence[str]) -> str:
    """A trial in one line: method, the settings that tell it apart, seed, score or state."""
    settings_of = [f"{path}={run.config[path]}" for path in paths if run.config.get(path) is not None]
    seed = "" if run.seed is None else f"seed {run.seed}"
    ends = run.state if not run.done else f"{run.score:.1f}"
    return " · ".join(text for text in (run.task, label_of(run.method), *settings_of, seed, ends) if text)
