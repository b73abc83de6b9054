"""Scores of the two simulators never share a row, and a row of D4RL's own says so."""

from pathlib import Path

from ailot_ray.report.grouping import group
from ailot_ray.report.record import load_trials
from ailot_ray.report.tables import format_table

from .conftest import WriteTrial


def test_scores_of_the_two_simulators_never_share_a_row(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("bc", 0)  # from before there was a choice
    write_trial("bc", 1, evaluation__simulator="gymnasium")
    write_trial("bc", 2, evaluation__simulator="d4rl")
    rows = [row for row in group(load_trials(tmp_path / "store")) if row.method == "bc"]
    assert {row.settings["evaluation.simulator"]: row.seeds for row in rows} == {"gymnasium": (0, 1), "d4rl": (2,)}


def test_a_row_of_d4rls_simulator_says_so_even_where_most_rows_are(tmp_path: Path, write_trial: WriteTrial) -> None:
    for k in (0, 2):
        write_trial(transport__k=k, evaluation__simulator="d4rl")
    write_trial(transport__k=2, evaluation__simulator="gymnasium")
    rows = group(load_trials(tmp_path / "store"))[1:]
    texts = sorted(row.settings_text for row in rows)
    assert texts == [
        "evaluation.simulator=d4rl",
        "evaluation.simulator=gymnasium",
        "transport.k=0 evaluation.simulator=d4rl",
    ]


def test_a_row_of_d4rls_simulator_says_so_even_where_there_is_no_other(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("bc", 0, evaluation__simulator="d4rl")
    write_trial("ailot", 0, evaluation__simulator="gymnasium")
    table = format_table(group(load_trials(tmp_path / "store")))
    assert table.count("evaluation.simulator=d4rl") == 1 and "gymnasium" not in table
