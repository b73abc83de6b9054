"""Verb results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ailot_ray.cli.acting import show_results
from ailot_ray.cli.options import InStore
from ailot_ray.config import Config, flatten, parse_setting
from ailot_ray.errors import ConfigError, StoreError
from ailot_ray.lazy import Lazy

if TYPE_CHECKING:
    from ailot_ray.report import aggregates, comparison, grouping, record, tables
    from ailot_ray.report.page import render, sources
else:
    aggregates = Lazy("ailot_ray.report.aggregates")
    comparison = Lazy("ailot_ray.report.comparison")
    grouping = Lazy("ailot_ray.report.grouping")
    record = Lazy("ailot_ray.report.record")
    tables = Lazy("ailot_ray.report.tables")
    render = Lazy("ailot_ray.report.page.render")
    sources = Lazy("ailot_ray.report.page.sources")


@dataclass(frozen=True, kw_only=True)
class Results(InStore):
    """Print the table of everything evaluated in a store, and plot it."""

    style: Literal["text", "markdown", "csv", "latex"] = "text"
    """text for the terminal, markdown, csv, or latex (booktabs)."""
    statistics: bool = False
    """Over all tasks instead: interquartile means with 95 % intervals, and how probably AILOT improves on each method."""
    compare: bool = False
    """One line a task and one column a method instead, with the published scores beside: the table that papers print."""
    where: tuple[str, ...] = ()
    """Only the trials of these values, settings by path and task, data, method, seed: method=ailot,otr iql.steps=4000."""
    sort: str | None = None
    """Order of the rows of a task: score, best first, or the path of a setting."""
    columns: tuple[str, ...] = ()
    """Columns of the table in place of all: method, settings, labelling, steps, seeds, score, ends, published, or paths of
    settings."""
    html: Path | None = None
    """Also write the results page as one self-contained HTML file for sharing."""

    def execute(self) -> dict[str, Any]:
        if not self.store.is_dir():
            raise StoreError(f"--store {self.store} is not there: {tables.NOTHING_YET}")
        if self.statistics and self.compare:
            raise ConfigError("--statistics and --compare are two tables: ask for one at a time")
        if self.columns and (self.statistics or self.compare or self.style == "csv"):
            raise ConfigError("--columns chooses those of the table of results: leave it out with --statistics, --compare, csv")
        shown = self._table(self._chosen(record.load_trials(self.store)))
        if self.html is not None:
            stores = sources.find_stores([self.store])
            render.write_shared(sources.Sources(stores).read(), self.html, stores)
            shown["html"] = str(self.html)
            if self.style == "text":
                print(f"{self.html}, the results page as one file")
        return shown

    def _chosen(self, trials: "Sequence[record.Trial]") -> "Sequence[record.Trial]":
        """Raises ConfigError for an unknown path, and where no trial has the values."""
        named = [name for name in self.columns if name not in tables.COLUMNS]
        if self.sort and self.sort != "score":
            named.append(self.sort)
        for path in named:
            require_path(path)
        kept = trials
        for text in self.where:
            path, sign, values = text.partition("=")
            if not sign or not values:
                raise ConfigError(f"--where {text} is not a setting with values, such as method=ailot,otr")
            require_path(path)
            wanted = values.split(",")
            kept = [trial for trial in kept if _text(record.value_of(trial, path)) in {_text(_parsed(path, v)) for v in wanted}]
            if trials and not kept:
                there = ", ".join(_text(value) for value in record.values_of(trials, path)) or "none"
                raise ConfigError(f"--where {text}: no trial that is left has it; {path} in the store: {there}")
        return kept

    def _table(self, trials: "Sequence[record.Trial]") -> dict[str, Any]:
        if self.statistics:
            rows = grouping.group(trials)
            print(aggregates.format_statistics(rows, self.style))
            return aggregates.statistics_json(rows)
        if self.compare:
            rows = grouping.group(trials)
            print(comparison.comparison_table(rows, self.style))
            return {"rows": tables.as_json(rows)}
        return show_results(trials, self.store, self.style, self.sort, self.columns)


_OWN = ("task", "data", "method", "seed")


def require_path(path: str) -> None:
    """Raise ConfigError unless `path` is a setting's, or a trial's own."""
    if path not in _OWN and path not in flatten(Config()):
        parse_setting(path, "none")  # raises, and names the nearest


def _parsed(path: str, text: str) -> Any:
    return text if path in _OWN else parse_setting(path, text)


def _text(value: Any) -> str:
    """Numbers that are equal have one text."""
    return f"{value:.12g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
