"""What the page shows, by view: figures of the runs that a filter leaves. Knows no server: the shared file uses it too."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ailot_ray.report.grouping import Group, distinct
from ailot_ray.report.look import label_of
from ailot_ray.report.page import figures, series
from ailot_ray.report.page.sources import Snapshot, Sources, matching, swept_paths
from ailot_ray.report.record import Trial
from ailot_ray.report.tables import SUBSTITUTED_NOTE, usual_notes
from ailot_ray.store import SHORT

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
    "against": "Mean normalised score by one setting, with the bootstrap 95 % interval of the mean. Dots are single runs. "
    "Left out are runs in which another setting is not at its usual value.",
    "heat": "Mean normalised score by two settings: mean ± standard deviation, and the number of runs. Left out are runs in "
    "which another setting is not at its usual value.",
    "profile": "The share of runs that score above s, over all tasks together: a curve further up and right is better at any "
    "threshold. Bands are pointwise bootstrap 95 % intervals, resampled within tasks.",
    "comparison": "Every configuration with its seeds. Published scores stand beside results on D4RL's own files only.",
}
NEEDS_PATHS = {"against": 1, "heat": 2}
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
    """The runs that a filter leaves of the stores at one moment, and what each view makes of them, made when asked for."""

    def __init__(self, runs: Sequence[Trial]) -> None:
        self.runs = tuple(distinct(runs))
        self.done = [run for run in self.runs if run.done]
        self._figures: dict[tuple[str, Choice], go.Figure] = {}

    @functools.cached_property
    def rows(self) -> list[Group]:
        return series.rows_of(self.done)

    @functools.cached_property
    def paths(self) -> list[str]:
        """The settings in which finished runs of one method differ."""
        return swept_paths(self.done)

    def choice(self, view: str, by: str | None = None, across: str | None = None, up: str | None = None) -> Choice:
        """The wanted controls where they can be had, else the most telling ones."""
        options, default = series.choices(self.done, self.rows, self.paths)
        across = across if across in self.paths else next(iter(self.paths), "")
        rest = [path for path in self.paths if path != across]
        up = up if up in rest else next(iter(rest), "")
        if view == "against":
            options = [option for option in options if option not in (series.CONFIGURATION, across)]
            default = series.METHOD
        return Choice(by if by in options else default, across, up, tuple(options), tuple(self.paths))

    @functools.cached_property
    def telling(self) -> list[str]:
        """The settings in which any runs of one method differ, finished or not."""
        return swept_paths(self.runs)

    @functools.cached_property
    def notes(self) -> list[str]:
        """What the names of configurations leave unsaid, and what a star beside a file means, where there are such."""
        stars = [SUBSTITUTED_NOTE] if any(run.substituted for run in self.done) else []
        return [*usual_notes(self.rows), *stars]

    def figure(self, view: str, choice: Choice) -> go.Figure | str:
        """The figure of a view, or a sentence that says why there is none yet."""
        if not self.done:
            return "No trial has finished yet: figures appear with the first." if self.runs else "No trial matches the filter."
        if len(self.paths) < NEEDS_PATHS.get(view, 0):
            wanted = "one setting" if NEEDS_PATHS[view] == 1 else "two settings"
            return f"This needs finished trials that differ in at least {wanted}: run a sweep, or widen the filter."
        if (view, choice) not in self._figures:
            # a reader's zoom outlives the next trial
            self._figures[view, choice] = self._draw(view, choice).update_layout(uirevision=f"{view} {choice}")
        return self._figures[view, choice]

    def _varying(self, *paths: str) -> list[Trial]:
        """The finished runs whose other settings are the usual ones, so that a difference between them is one of `paths`."""
        kept = {digest[:SHORT] for row in self.rows if row.departures <= set(paths) for digest in row.digests}
        return [run for run in self.done if run.short in kept]

    def _draw(self, view: str, choice: Choice) -> go.Figure:
        if view == "heat":
            varied = self._varying(choice.across, choice.up)
            by_method = series.panels(varied, self.rows, series.METHOD)
            return figures.heat_map(series.split(by_method, (choice.across, choice.up)), choice.across, choice.up)
        drawn = self._varying(choice.across, choice.by) if view == "against" else self.done
        panels = series.panels(drawn, self.rows, choice.by)
        if view == "against":
            return figures.score_against(panels, choice.across)
        if view == "curves":
            return figures.learning_curves(panels)
        if view == "profile":
            return figures.performance_profile(panels)
        return figures.comparison(panels, self.rows)


class Browser:
    """Pages over stores that may grow: the last few are kept, so that a view of what has not changed costs nothing."""

    def __init__(self, sources: Sources, kept: int = 8) -> None:
        self.sources = sources
        self._pages: dict[tuple[str, tuple[str, ...]], Page] = {}
        self._kept = kept

    def page(self, filters: Sequence[str] = ()) -> tuple[Snapshot, Page]:
        """The stores as they are now, and the page of the runs that meet `filters` (see `sources.matching`)."""
        snapshot = self.sources.read()
        key = (snapshot.version, tuple(filters))
        if key not in self._pages:
            while len(self._pages) >= self._kept:
                self._pages.pop(next(iter(self._pages)), None)
            self._pages[key] = Page(matching(snapshot.runs, filters))
        return snapshot, self._pages[key]


def name_of(run: Trial, paths: Sequence[str]) -> str:
    """A run in one line: method, the settings that tell it apart, seed, score or state."""
    settings = [f"{path}={run.config[path]}" for path in paths if run.config.get(path) is not None]
    seed = "" if run.seed is None else f"seed {run.seed}"
    ends = run.state if not run.done else f"{run.score:.1f}"
    return " · ".join(text for text in (run.task, label_of(run.method), *settings, seed, ends) if text)
