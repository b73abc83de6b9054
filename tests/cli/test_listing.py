"""The table of tasks: complete, in 120 columns, with what is published and what is on disk."""

from pathlib import Path

from ailot_ray.tasks import TASKS

from .conftest import Command


def test_the_table_holds_every_task_and_fits_a_terminal(command: Command, tmp_path: Path) -> None:
    (tmp_path / "door-v0_demos_clipped.hdf5").write_bytes(b"")
    ended = command("tasks", "--data-dir", tmp_path, "--json")
    lines = ended.out.splitlines()[:-1]
    assert max(map(len, lines)) <= 120
    rows = {words[0]: words for line in lines if (words := line.split()) and words[0] in TASKS}
    assert rows.keys() == TASKS.keys()
    assert rows["antmaze-large-diverse-v0"][2:] == ["29", "8", "1000", "47.5", "45.5", "–", "66.6", "–"]
    assert rows["door-human-v0"][-2:] == ["on", "disk"] and rows["hopper-builtin"][-2:] == ["built", "in"]
    assert (
        "antmaze: iql.expectile 0.9   iql.temperature 10   iql.dropout 0   reward.shift -2   evaluation.episodes 100" in lines
    )

    listed = ended.json["tasks"]["door-human-v0"]
    assert listed["data"] == str(tmp_path / "door-v0_demos_clipped.hdf5")
    assert listed["settings"]["iql.dropout"] == 0.1 and listed["published"] == {"iql": 3.3, "otr": 5.9, "seabo": 5.1}
