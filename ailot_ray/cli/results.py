"""Verb results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ailot_ray.cli.acting import show_results
from ailot_ray.cli.options import InStore
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
    html: Path | None = None
    """Also write the results page as one self-contained HTML file for sharing."""

    def execute(self) -> dict[str, Any]:
        if not self.store.is_dir():
            raise StoreError(f"--store {self.store} is not there: {tables.NOTHING_YET}")
        if self.statistics and self.compare:
            raise ConfigError("--statistics and --compare are two tables: ask for one at a time")
        shown = self._table(record.load_trials(self.store))
        if self.html is not None:
            stores = sources.find_stores([self.store])
            render.write_shared(sources.Sources(stores).read(), self.html, stores)
            shown["html"] = str(self.html)
            if self.style == "text":
                print(f"{self.html}, the results page as one file")
        return shown

    def _table(self, trials: "Sequence[record.Trial]") -> dict[str, Any]:
        if self.statistics:
            rows = grouping.group(trials)
            print(aggregates.format_statistics(rows, self.style))
            return aggregates.statistics_json(rows)
        if self.compare:
            rows = grouping.group(trials)
            print(comparison.comparison_table(rows, self.style))
            return {"rows": tables.as_json(rows)}
        return show_results(trials, self.store, self.style)
