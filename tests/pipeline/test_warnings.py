"""The failure signs that the method is known for, each planted on purpose, and a sound relabelling that has none of them."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from data.synthetic import Arrays, episodes, write_hdf5
from msgspec import to_builtins
from numpy.typing import NDArray

from ailot_ray.config import Config, ICVFConfig, RewardConfig, TransportConfig
from ailot_ray.pipeline import load_report
from ailot_ray.pipeline.warnings import relabel_warnings
from ailot_ray.records import RelabelReport
from ailot_ray.resolve import resolve

from .conftest import ENDS, LENGTHS, TINY, OpenExperiment

RAW = TransportConfig(space="raw")
PLANTED: dict[str, tuple[dict[str, Any], str]] = {
    "collapse": ({"reward": RewardConfig(tau=80.0)}, r"of the rewards are near 0 \(collapse\): lower --reward.tau \(80\)$"),
    "collapse, no scale": (
        {"reward": RewardConfig(tau=80.0, scale="none", rescale=False)},
        r"collapse\): lower --reward.tau \(80\), or set --reward.scale median$",
    ),
    "saturation": ({"reward": RewardConfig(tau=1e-6)}, r"near alpha \(saturation\): raise --reward.tau \(1e-06\)$"),
    "unconverged": (
        {"transport": TransportConfig(max_iterations=1, epsilon=1e-4)},
        r"^\d+ of 12 solves did not reach a marginal error of 0.001 \(worst .*\): raise --transport.max-iterations \(1\) or "
        r"--transport.epsilon \(0.0001\)$",
    ),
    "a look-ahead beyond trajectories": (
        {"transport": TransportConfig(k=9)},
        r"^2 trajectories are no longer than --transport.k 9",
    ),
    "an encoder hardly trained": ({}, r"distances of intents follow time less well .* --icvf.steps \(6\)$"),
    "a value not learned": (
        {},
        r"^the intents' value has come to -?[\d.]+ of the -[\d.]+ of the data's .* --icvf.steps \(6\)$",
    ),
    "an encoder not trained": ({"icvf": ICVFConfig(steps=0, width=16)}, r"--icvf.steps \(0\)$"),
}


def warnings(open_experiment: OpenExperiment, **fields: Any) -> list[str]:
    found = to_builtins(load_report(open_experiment(**fields), 0))["warnings"]
    assert isinstance(found, list)
    return found


def one(found: list[str], pattern: str) -> None:
    assert len([warning for warning in found if re.search(pattern, warning)]) == 1, found


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_failure_is_warned_of(name: str, open_experiment: OpenExperiment) -> None:
    changes, pattern = PLANTED[name]
    one(warnings(open_experiment, **changes), pattern)


def drifting() -> Arrays:
    """The walks of `episodes`, each of which goes steadily somewhere, as all of them do."""
    return shown([0.3 * np.arange(length + 1)[:, None] for length in LENGTHS], np.ones(11), noise=0.02)


def shown(paths: list[NDArray[np.floating]], direction: NDArray[np.float64], noise: float) -> Arrays:
    """Episodes that follow `paths` (T + 1, 1) along a direction, with noise of their own."""
    rng = np.random.default_rng(2)
    states = [path * direction + noise * rng.normal(size=(len(path), 11)) for path in paths]
    arrays = episodes(LENGTHS, ENDS)
    arrays["observations"] = np.concatenate([walk[:-1] for walk in states]).astype(np.float32)
    arrays["next_observations"] = np.concatenate([walk[1:] for walk in states]).astype(np.float32)
    return arrays


def test_sound_rewards_bring_no_warning(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    data = write_hdf5(tmp_path / "drifting.hdf5", drifting())
    assert warnings(open_experiment, data=data, transport=TransportConfig(space="standardised", start="none")) == []


def test_a_look_ahead_of_0_that_cannot_tell_there_from_back(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    """Every trajectory goes to a place and back through the same states: only a look-ahead knows which way it is going."""
    paths: list[NDArray[np.floating]]
    paths = [np.concatenate([np.arange(n), [n], np.arange(n)[::-1]])[:, None] / n for n in [length // 2 for length in LENGTHS]]
    paths = [path if len(path) == length + 1 else np.r_[path, path[-1:]] for path, length in zip(paths, LENGTHS, strict=True)]
    data = write_hdf5(tmp_path / "there.hdf5", shown(paths, np.ones(11), noise=1e-4))
    pattern = r"order of time .*: look ahead, with --transport.k 2 in place of 0"
    one(warnings(open_experiment, data=data, transport=TransportConfig(space="raw", k=0, start="none")), pattern)
    found = warnings(open_experiment, data=data, transport=TransportConfig(space="raw", k=2, start="none"))
    assert not any("order of time" in warning for warning in found), found


def test_a_look_ahead_beyond_what_a_trajectory_remembers(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    """States that swing with a period of 12 steps: half a swing ahead is further away than any other state."""
    swings = [np.sin(np.arange(length + 1) * np.pi / 6)[:, None] for length in LENGTHS]
    data = write_hdf5(tmp_path / "swings.hdf5", shown(swings, np.ones(11), noise=0.01))
    one(
        warnings(open_experiment, data=data, transport=TransportConfig(space="raw", k=6)),
        r"6 steps ahead .*: lower --transport.k \(6\)$",
    )
    found = warnings(open_experiment, data=data, transport=TransportConfig(space="raw", k=1))
    assert not any("steps ahead" in warning for warning in found), found


def test_an_expert_that_moves_as_nothing_in_the_data_does(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    data = write_hdf5(tmp_path / "drifting.hdf5", drifting())
    still: list[NDArray[np.floating]] = [np.zeros((length + 1, 1)) for length in LENGTHS]
    stranger = write_hdf5(tmp_path / "stranger.hdf5", shown(still, np.ones(11), noise=0.02))
    compared: dict[str, Any] = {"data": data, "transport": TransportConfig(space="standardised", start="none")}
    assert not any("order of time" in warning for warning in warnings(open_experiment, **compared))
    pattern = r"order of time .*, or take an expert whose motion the data have \(--expert\)"
    one(warnings(open_experiment, **compared, expert=stranger), pattern)


def report(**changes: Any) -> RelabelReport:
    """Of a sound relabelling."""
    isometry: dict[str, Any] = {"raw": {"10": 0.5}, "untrained": {"10": 0.6}, "intent": {"10": 0.7}}
    sound = {
        **{"task": "hopper-medium-v2", "trajectories": 9, "transitions": 90, "experts": [], "rank_correlation": {}},
        **{"collapse_share": 0.0, "saturation_share": 0.0, "unconverged": 0, "solves": 9, "short_trajectories": 0},
        **{"cost_scale": 1.0, "reward": {"min": 0.1, "mean": 0.2, "max": 0.3}, "marginal_error": None},
        **{"isometry": isometry, "look_ahead_distance": 0.1, "coherence": {"correlation": 0.9, "backward": 0.1}},
    }
    return msgspec.convert(sound | changes, RelabelReport)


def signs(**changes: Any) -> list[str]:
    config = resolve(Config(task="hopper-medium-v2", **TINY))
    return relabel_warnings(config, uses_intents=True, report=report(**changes))


def intents(value: float | None) -> dict[str, dict[str, float | None]]:
    return report().isometry | {"intent": {"10": value}}


def test_each_sign_of_a_poor_encoder() -> None:
    assert signs() == []
    one(signs(isometry=intents(None)), r"alike \(a collapsed encoder\): .*--icvf.steps \(6\)$")
    one(signs(isometry=intents(0.4)), r"than distances of raw states do \(0.40 against 0.50; a poor encoder\)")
    one(signs(isometry=intents(0.604)), r"than those of an untrained encoder do \(0.60 against 0.60; .*--icvf.steps \(6\)$")
    assert signs(isometry=intents(0.62)) == []


def test_a_poor_encoder_is_named_before_the_look_ahead() -> None:
    lost = {"correlation": 0.02, "backward": 0.5}
    one(
        signs(coherence=lost),
        r"\(rank correlation 0.02, 50% of the steps go back\): compare --transport.k \(2\) with a smaller",
    )
    encoder, order = signs(coherence=lost, isometry=intents(0.1))
    assert "a poor encoder" in encoder and "the encoder above comes first" in order
