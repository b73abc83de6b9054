import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from data.synthetic import episodes, write_hdf5

from ailot_ray.config import EvaluationConfig, RewardConfig, TransportConfig
from ailot_ray.envs import Episode
from ailot_ray.files import sha256_of
from ailot_ray.methods import METHODS
from ailot_ray.pipeline import Experiment, align, evaluate, load_policy, pretrain, record_policy, relabel, score_snapshot, train
from ailot_ray.report.record import load_trials
from ailot_ray.store import MANIFEST, RUN, Artefact, digest_of

from .conftest import ENDS, LENGTHS, TINY, OpenExperiment

WORK: dict[str, dict[str, int]] = {
    "ailot": {"fit": 2, "align_pair": 12, "rewards_from_costs": 1, "roll_out": 2},
    "otr": {"fit": 1, "align_pair": 12, "rewards_from_costs": 1, "roll_out": 2},
    **{key: {"fit": 1, "rewards_from_costs": 1, "roll_out": 2} for key in ("segment", "seabo", "rnd")},
    "bc10-ailot": {"fit": 2, "align_pair": 12, "rewards_from_costs": 1, "roll_out": 2},
    "bc10": {"fit": 1, "roll_out": 2},
    "iql": {"fit": 1, "roll_out": 2},
    "iql-shuffled": {"fit": 1, "roll_out": 2},
    "bc": {"fit": 1, "roll_out": 2},
}
"""What one trial of each method has to do: networks trained, pairs aligned, and roll-outs of two snapshots."""
KINDS: dict[str, set[str]] = {
    **{key: {"intents", "alignment", "rewards", "policies", "scores"} for key in ("ailot", "bc10-ailot")},
    **{key: {"alignment", "rewards", "policies", "scores"} for key in ("otr", "segment", "seabo", "rnd")},
    **{key: {"rewards", "policies", "scores"} for key in ("iql", "iql-shuffled", "bc10")},
    "bc": {"policies", "scores"},
}


def finished(store: Path) -> dict[str, dict[str, str]]:
    """The SHA-256 of every file but run.json, by artefact."""
    return {
        str(manifest.parent.relative_to(store)): {
            path.name: sha256_of(path) for path in manifest.parent.iterdir() if path.name != RUN
        }
        for manifest in store.glob("*/*/" + MANIFEST)
    }


def count_of(store: Path, kind: str) -> int:
    return len(list(store.glob(f"{kind}/*/{MANIFEST}")))


@pytest.mark.parametrize("method", METHODS)
def test_every_stage_runs_once_and_is_read_back_afterwards(
    method: str, open_experiment: OpenExperiment, calls: Counter[str]
) -> None:
    experiment = open_experiment(method)
    first = evaluate(experiment, [0])[0]
    assert calls == WORK[method]
    assert {name.split("/")[0] for name in finished(experiment.store.root)} == KINDS[method]
    written = {path: path.stat().st_mtime_ns for path in experiment.store.root.glob("*/*/*")}

    again = evaluate(open_experiment(method), [0])[0]
    assert again == first
    assert calls == WORK[method], "the second call repeats work"
    assert {path: path.stat().st_mtime_ns for path in experiment.store.root.glob("*/*/*")} == written


@pytest.mark.parametrize(
    ("method", "stage", "change", "work"),
    [
        ("ailot", relabel, {"reward": RewardConfig(tau=0.1)}, {"rewards_from_costs": 1}),
        ("ailot", train, {"iql": replace(TINY["iql"], expectile=0.9)}, {"fit": 1}),
        ("ailot", align, {"transport": TransportConfig(k=0)}, {"align_pair": 12}),
        (
            "bc",
            evaluate,
            {"evaluation": EvaluationConfig(episodes=4, curve_episodes=0)},
            {"roll_out": 1},
        ),
    ],
)
def test_another_setting_does_again_what_comes_of_it_alone(
    method: str, stage: Any, change: dict[str, Any], work: dict[str, int], open_experiment: OpenExperiment, calls: Counter[str]
) -> None:
    (one,) = stage(open_experiment(method), [0])
    calls.clear()
    (other,) = stage(open_experiment(method, **change), [0])
    assert calls == work
    made = finished(one.folder.parents[1])
    assert made[f"{one.kind}/{one.folder.name}"] != made[f"{other.kind}/{other.folder.name}"]


def test_the_games_are_those_that_the_settings_ask_for(
    open_experiment: OpenExperiment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Target and noise, in roll-outs and in the video alike."""
    asked: list[tuple[Any, ...]] = []

    def played(task: Any, policy: Any, episodes: int, seed: int, ended: Any, *how: Any) -> list[Episode]:
        asked.append(("scores", *how))
        return [Episode(i, 0.0, 1, None) for i in range(episodes)]

    def filmed(task: Any, policy: Any, path: Path, seed: int, **how: Any) -> Episode:
        asked.append(("video", "gymnasium", how["target"], how["noise"], how["physics"]))
        return Episode(0, 0.0, 1, None)

    monkeypatch.setattr("ailot_ray.envs.rollout.roll_out", played)
    monkeypatch.setattr("ailot_ray.envs.video.record_video", filmed)
    experiment = open_experiment("bc", evaluation=EvaluationConfig(episodes=1, curve_episodes=0, actions="sample"))
    drawn = replace(
        experiment, config=replace(experiment.config, evaluation=replace(experiment.config.evaluation, target="drawn"))
    )
    for one in (open_experiment("bc", evaluation=EvaluationConfig(episodes=1, curve_episodes=0)), experiment, drawn):
        evaluate(one, [0])[0]
        record_policy(one, 0, tmp_path / "policy.mp4")
    std = load_policy(train(experiment, [0])[0].folder, experiment.config.iql.steps).std
    assert std.shape == (3,) and (std > 0).all()
    expected = [("centre", None), ("centre", std), ("drawn", std)]
    for (what, simulator, target, noise, physics), (kind, (where, deviation)) in zip(
        asked, [(kind, how) for how in expected for kind in ("scores", "video")], strict=True
    ):
        assert (what, simulator, target, physics) == (kind, "gymnasium", where, "mujoco")
        assert noise is None if deviation is None else np.array_equal(noise, deviation)


def test_behaviour_cloning_knows_no_rewards(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    scrambled = episodes(LENGTHS, ENDS)
    scrambled["rewards"] = -scrambled["rewards"][::-1]
    other = write_hdf5(tmp_path / "scrambled.hdf5", scrambled)
    policies = [
        train(open_experiment("bc"), [0])[0],
        train(open_experiment("bc", data=other), [0])[0],
        train(open_experiment("bc", data=write_hdf5(tmp_path / "none.hdf5", scrambled, without=["rewards"])), [0])[0],
    ]
    assert train(open_experiment("bc", reward=RewardConfig(tau=9.0)), [0])[0] == policies[0]
    for name in ("actor-00000004.safetensors", "actor-00000008.safetensors", "curve.json"):
        assert len({sha256_of(policy.path(name)) for policy in policies}) == 1


def test_iql_learns_from_the_true_rewards(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment("iql")
    assert experiment.dataset.rewards is not None
    rewards = pq.read_table(relabel(experiment, [0])[0].path("rewards.parquet"))["reward"].to_numpy()
    returns = experiment.dataset.returns()
    np.testing.assert_allclose(rewards, experiment.dataset.rewards * 1000 / (returns.max() - returns.min()), rtol=1e-5)


@pytest.mark.parametrize("method", ["ailot", "bc"])
def test_the_bytes_depend_on_configuration_and_seed_alone(method: str, open_experiment: OpenExperiment) -> None:
    alone, company = open_experiment(method, store="alone"), open_experiment(method, store="company")
    evaluate(alone, [0])[0]
    if company.uses_intents:
        pretrain(company, [2, 0, 1])
    train(company, [2, 0, 1])
    evaluate(company, [0])[0]
    assert len({sha256_of(one.path("curve.json")) for one in train(company, [2, 0, 1])}) == 3, "seeds differ"
    expected, found = finished(alone.store.root), finished(company.store.root)
    assert len(expected) == len(KINDS[method])
    assert {name: found.get(name) for name in expected} == expected


def scores_of(open_experiment: OpenExperiment, method: str = "ailot") -> tuple[Experiment, Artefact]:
    experiment = open_experiment(method, iql=replace(TINY["iql"], steps=9, snapshots=3))
    return experiment, evaluate(experiment, [3])[0]


def test_scores_hold_every_episode_of_the_policy_and_of_its_snapshots(open_experiment: OpenExperiment) -> None:
    experiment, scores = scores_of(open_experiment)
    table = pq.read_table(scores.path("episodes.parquet"))
    assert table["step"].to_pylist() == [3, 6, 9, 9, 9]
    assert table["episode"].to_pylist() == [0, 0, 0, 1, 2]
    assert all(1 <= length <= experiment.task.horizon for length in table["length"].to_pylist())
    for undiscounted, score in zip(table["return"].to_pylist(), table["score"].to_pylist(), strict=True):
        assert score == pytest.approx(100 * (undiscounted + 20.272305) / (3234.3 + 20.272305))


def test_a_trial_says_what_its_number_was_made_of(open_experiment: OpenExperiment, hopper: Path) -> None:
    experiment, scores = scores_of(open_experiment)
    trial = json.loads(scores.path("trial.json").read_text())
    returns = experiment.dataset.returns()
    assert (trial["task"], trial["method"], trial["seed"]) == ("hopper-medium-v2", "ailot", 3)
    assert trial["data"]["digest"] == sha256_of(hopper)
    run, best = scores.run, f"{hopper}, trajectory {returns.argmax()}"
    assert run is not None and run.sources == {"data": str(hopper), "expert 0": best}
    assert str(hopper) not in scores.path("trial.json").read_text()  # the same file elsewhere is the same trial
    assert trial["data"]["substituted"] is True and trial["data"]["episodes"] == 12
    assert trial["data"]["mean_return"] == pytest.approx(returns.mean())
    assert [expert["true_return"] for expert in trial["expert"]] == [pytest.approx(returns.max())]
    assert trial["config"]["transport.k"] == 2 and trial["config"]["reward.tau"] == 0.5
    assert None not in [trial["config"][path] for path in ("iql.expectile", "evaluation.episodes", "transport.epsilon")]
    for kind, name in trial["artefacts"].items():
        assert (experiment.store.root / kind / name / MANIFEST).is_file()
    assert set(trial["artefacts"]) == {"intents", "alignment", "rewards", "policies"}


def test_the_report_reads_the_scores(open_experiment: OpenExperiment) -> None:
    experiment, scores = scores_of(open_experiment, "bc")
    (trial,) = load_trials(experiment.store.root)
    table = pq.read_table(scores.path("episodes.parquet"))
    assert (trial.method, trial.seed, trial.digest) == ("bc", 3, scores.digest)
    assert trial.score == pytest.approx(np.mean(table["score"].to_pylist()[2:]))
    assert list(trial.curve()) == [3, 6, 9]
    assert trial.config["iql.steps"] == 9


def test_what_is_scored_while_learning_is_not_played_again(open_experiment: OpenExperiment, calls: Counter[str]) -> None:
    experiment = open_experiment("bc")
    told: list[Any] = []

    def score(seeds: Sequence[int], step: int, files: Sequence[Path]) -> None:
        told.append((list(seeds), step, score_snapshot(experiment, seeds[0], step, files[0])))

    train(experiment, [3], score)
    assert calls["roll_out"] == 2
    found = evaluate(experiment, [3])[0]
    assert calls["roll_out"] == 2, "the episodes were played while it learnt"
    table = pq.read_table(found.path("episodes.parquet")).to_pandas()
    assert told == [([3], step, pytest.approx(table[table["step"] == step]["score"].mean())) for step in (4, 8)]
    other = open_experiment("bc", store="other")
    assert finished(experiment.store.root) == finished((evaluate(other, [3])[0], other)[1].store.root)


def test_a_snapshot_of_no_episodes_is_not_scored(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    experiment = open_experiment("bc", evaluation=EvaluationConfig(episodes=2, curve_episodes=0))
    assert score_snapshot(experiment, 0, 4, tmp_path / "is not even opened") is None


@pytest.mark.parametrize("method", METHODS)
def test_keys_are_known_before_anything_is_made(method: str, open_experiment: OpenExperiment) -> None:
    experiment = open_experiment(method)
    expected = {kind: digest_of(kind, key) for kind, key in experiment.keys(1).items()}
    evaluate(experiment, [1])[0]
    manifests = [json.loads(path.read_text()) for path in experiment.store.root.glob(f"*/*/{MANIFEST}")]
    assert {manifest["kind"]: manifest["digest"] for manifest in manifests} == expected
    assert set(expected) == KINDS[method]


def test_a_policy_that_saw_few_transitions_is_warned_about(
    open_experiment: OpenExperiment, caplog: pytest.LogCaptureFixture
) -> None:
    train(open_experiment("iql"), [0])
    assert not caplog.records
    harsh = open_experiment("iql", iql=replace(TINY["iql"], temperature=500.0, steps=40, batch_size=64))
    train(harsh, [5])
    (record,) = caplog.records
    assert "seed 5 ended on an effective" in record.getMessage() and "--iql.temperature" in record.getMessage()


def test_pretraining_tells_of_each_point(open_experiment: OpenExperiment) -> None:
    told: list[tuple[list[int], int]] = []
    (intents,) = pretrain(open_experiment(), [2], lambda seeds, point: told.append((list(seeds), point["step"])))
    assert told == [([2], point["step"]) for point in json.loads(intents.path("curve.json").read_text())]
