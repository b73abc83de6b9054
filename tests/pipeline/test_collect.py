"""Collecting: what is in the file, who played it, and what a kill leaves."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from stable_baselines3 import A2C, DDPG, PPO, SAC, TD3

from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.envs import make_env
from ailot_ray.envs.custom import describe_environment
from ailot_ray.errors import ConfigError, DataError, StoreError
from ailot_ray.files import sha256_of
from ailot_ray.pipeline import collect as collecting
from ailot_ray.pipeline import load_policy, train
from ailot_ray.pipeline.collect import Collection, collect_dataset
from ailot_ray.pipeline.mixture import Member, load_actors, parse_member
from ailot_ray.tasks import Task, get_task

from .conftest import OpenExperiment

PENDULUM = describe_environment("Pendulum-v1", horizon=20)
HOPPER = get_task("hopper-builtin")
RANDOM = (Member("random"),)
Arrays = dict[str, NDArray[Any]]


def read(path: Path) -> Arrays:
    with h5py.File(path) as file:
        arrays: Arrays = {}
        file.visititems(lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return arrays


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A model of Stable-Baselines3, untrained, in a file."""
    folder = tmp_path_factory.mktemp("models")

    def saved(algorithm: Any = PPO, environment: str = "Pendulum-v1") -> Path:
        path = folder / f"{algorithm.__name__}-{environment}.zip"
        if not path.exists():
            env = gymnasium.make(environment)
            algorithm("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, seed=0, device="cpu").save(path)
        return path

    return saved


def test_a_file_in_d4rls_schema(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "hop.hdf5"
    report = collect_dataset(Collection(HOPPER, RANDOM, transitions=300), path)
    arrays = read(path)
    assert set(arrays) == {
        *("observations", "actions", "rewards", "terminals", "timeouts", "next_observations"),
        *("infos/qpos", "infos/qvel", "infos/policy"),
    }
    assert all(len(column) == 300 for column in arrays.values()) and report["transitions"] == 300
    assert arrays["terminals"].any() and not arrays["timeouts"].any()  # random Hopper falls
    inside = ~(arrays["terminals"] | arrays["timeouts"])[:-1]
    assert np.array_equal(arrays["next_observations"][:-1][inside], arrays["observations"][1:][inside])
    with h5py.File(path) as file:
        assert file.attrs["environment"] == "Hopper-v4"
        about = json.loads(file.attrs["provenance"])
    assert (about["seed"], about["horizon"], about["policies"][0]["what"]) == (0, 1000, "random")
    data = load_dataset(Config(data=path))
    assert len(data) == 300 and data.notes.dropped == 0
    assert data.trajectories == report["policies"][0]["episodes"] + (not arrays["terminals"][-1])
    whole = [value for value, end in zip(data.returns(), data.ends, strict=True) if end != "file"]
    assert report["policies"][0]["mean_return"] == pytest.approx(np.mean(whole), rel=1e-5)


def test_one_step_from_the_recorded_state_gives_the_recorded_successor(tmp_path: Path) -> None:
    path = tmp_path / "hop.hdf5"
    collect_dataset(Collection(HOPPER, RANDOM, episodes=3), path)
    arrays, env = read(path), make_env(HOPPER)
    for row in range(0, len(arrays["rewards"]), 5):
        env.reset(seed=0)
        env.unwrapped.set_state(arrays["infos/qpos"][row], arrays["infos/qvel"][row])  # type: ignore[attr-defined]
        observation, reward, *_ = env.step(arrays["actions"][row])
        np.testing.assert_allclose(observation, arrays["next_observations"][row], atol=1e-5)
        assert float(reward) == pytest.approx(float(arrays["rewards"][row]), abs=1e-5)


def test_actions_are_in_the_environments_units_and_the_horizon_is_a_timeout(tmp_path: Path) -> None:
    path = tmp_path / "swing.hdf5"
    collect_dataset(Collection(PENDULUM, RANDOM, episodes=4), path)
    arrays = read(path)
    assert np.flatnonzero(arrays["timeouts"]).tolist() == [19, 39, 59, 79] and not arrays["terminals"].any()
    assert 1.5 < np.abs(arrays["actions"]).max() <= 2.0 and "infos/qpos" not in arrays
    env = gymnasium.make("Pendulum-v1")
    env.reset(seed=0)
    cos, sin, speed = arrays["observations"][5]
    env.unwrapped.state = np.array([np.arctan2(sin, cos), speed])  # type: ignore[attr-defined]
    np.testing.assert_allclose(env.step(arrays["actions"][5])[0], arrays["next_observations"][5], atol=1e-5)


def test_shares_are_of_transitions(tmp_path: Path, model: Callable[..., Path]) -> None:
    members = (Member("random", share=3.0), Member(str(model()), share=1.0, noise=0.1))
    report = collect_dataset(Collection(PENDULUM, members, transitions=405), tmp_path / "mix.hdf5")
    counts = [played["transitions"] for played in report["policies"]]
    assert sum(counts) == 405 and abs(counts[0] - 0.75 * 405) <= PENDULUM.horizon
    by = read(tmp_path / "mix.hdf5")["infos/policy"]
    assert [int((by == number).sum()) for number in (0, 1)] == counts


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, model: Callable[..., Path]) -> None:
    members = (Member("random"), Member(str(model()), noise=0.2, epsilon=0.1, sample=True))
    files = [tmp_path / f"{number}.hdf5" for number in range(3)]
    for path, seed in zip(files, (1, 1, 2), strict=True):
        collect_dataset(Collection(PENDULUM, members, transitions=100, seed=seed), path)
    first, again, other = map(sha256_of, files)
    assert first == again != other


def test_a_killed_collection_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Collection(PENDULUM, (Member("random", share=1.0), Member("random", share=2.0)), transitions=210)
    collect_dataset(wanted, tmp_path / "whole.hdf5")
    monkeypatch.setattr(collecting, "PART", 60)
    play, broken = collecting._play, tmp_path / "broken.hdf5"
    played: list[int] = []

    def killed(collection: Collection, env: Any, actor: Any, index: int, most: int) -> Any:
        played.append(index)
        if index == 8 and played.count(8) == 1:
            raise KeyboardInterrupt
        return play(collection, env, actor, index, most)

    monkeypatch.setattr(collecting, "_play", killed)
    with pytest.raises(KeyboardInterrupt):
        collect_dataset(wanted, broken)
    assert not broken.exists() and len(list((tmp_path / "broken.hdf5.parts").glob("part-*.npz"))) == 2
    with pytest.raises(DataError, match=r"broken.hdf5.parts holds parts of another collection; delete it or choose another"):
        collect_dataset(Collection(PENDULUM, wanted.members, transitions=210, seed=9), broken)
    collect_dataset(wanted, broken)
    assert played == [*range(9), *range(6, 11)]
    assert sha256_of(broken) == sha256_of(tmp_path / "whole.hdf5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.hdf5", "whole.hdf5"]


def test_a_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    path, wanted = tmp_path / "swing.hdf5", Collection(PENDULUM, RANDOM, episodes=1)
    path.write_text("precious")
    with pytest.raises(DataError, match=r"swing.hdf5 exists already; choose another name or pass --overwrite"):
        collect_dataset(wanted, path)
    assert path.read_text() == "precious"
    collect_dataset(wanted, path, overwrite=True)
    assert len(read(path)["rewards"]) == 20


@pytest.mark.parametrize("algorithm", [PPO, A2C, SAC, TD3, DDPG])
def test_models_of_stable_baselines(algorithm: Any, model: Callable[..., Path]) -> None:
    path = model(algorithm)
    actor = load_actors([Member(str(path))], PENDULUM)[0]
    states = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected, _ = algorithm.load(path, device="cpu").predict(states, deterministic=True)
    np.testing.assert_allclose(actor.with_noise(np.random.default_rng(0))(states), expected / 2.0, atol=1e-6)
    assert actor.digest == sha256_of(path)


def test_our_own_policies(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    policies = train(open_experiment(method="bc"), [0])[0]
    states = np.random.default_rng(0).normal(size=(5, 11)).astype(np.float32)
    for step, text in ((8, f"{policies.folder}"), (4, f"{policies.folder},step=4")):
        actor = load_actors([parse_member(text)], HOPPER)[0]
        assert np.array_equal(actor.with_noise(np.random.default_rng(0))(states), load_policy(policies.folder, step)(states))
    with pytest.raises(ConfigError, match="no snapshot of step 5; there are 4, 8"):
        load_actors([parse_member(f"{policies.folder},step=5")], HOPPER)
    with pytest.raises(ConfigError, match="maps 11 observations to 3 actions, but Pendulum-v1 has 3 and 1: it belongs to anot"):
        load_actors([Member(str(policies.folder))], PENDULUM)
    (policies.folder / "actor-00000008.safetensors").write_bytes(b"spoilt")
    with pytest.raises(StoreError, match=r"actor-00000008.safetensors is damaged"):
        load_actors([Member(str(policies.folder))], HOPPER)
    with pytest.raises(StoreError, match="is no artefact of a store"):
        load_actors([Member(str(tmp_path))], HOPPER)


def test_noise_and_epsilon(model: Callable[..., Path]) -> None:
    states = np.zeros((20_000, 3), np.float32)
    path = str(model())

    def actions(**settings: float) -> NDArray[np.float32]:
        return load_actors([Member(path, **settings)], PENDULUM)[0].with_noise(np.random.default_rng(0))(states)  # type: ignore[arg-type]

    plain = actions()
    noisy, random = actions(noise=0.1) - plain, actions(epsilon=0.25) != plain
    assert float(noisy.std()) == pytest.approx(0.1, rel=0.05) and abs(float(noisy.mean())) < 0.005
    assert float(random.mean()) == pytest.approx(0.25, abs=0.02)
    assert np.abs(actions(noise=5.0)).max() == 1.0


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("random,noise=0.1", "random is nothing but noise, it takes a share alone"),
        ("random,shre=0.1", "shre=0.1 is not a setting of a policy; there are share=…, noise=…, epsilon=…, step=…, sample=…"),
        ("a.zip,noise=loud", "noise=loud is not a setting"),
        ("a.zip,share=0", "share is 0.0, but it must be above 0"),
        ("a.zip,epsilon=2", "epsilon is 2.0, but it must be between 0 and 1"),
        ("a.zip,noise=-1", "noise is -1.0, but it must be 0 or more"),
        (",share=1", "names no policy"),
    ],
)
def test_a_policy_that_is_written_wrongly(text: str, pattern: str) -> None:
    with pytest.raises(ConfigError, match=f"--policy {text}.*{pattern}"):
        parse_member(text)


def test_policies_that_cannot_be_loaded(tmp_path: Path, model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(text: str, pattern: str, task: Task = PENDULUM) -> None:
        with pytest.raises((ConfigError, DataError), match=pattern) as caught:
            load_actors([parse_member(text)], task)
        assert "\n" not in str(caught.value)

    refused("none.zip", "--policy none.zip: no such file")
    refused("expert", "--policy expert: neither random, nor a folder of the store's policies, nor a .zip")
    (tmp_path / "page.zip").write_text("<html>")
    refused(str(tmp_path / "page.zip"), r"page.zip cannot be read as a model of Stable-Baselines3 \(File is not a zip file\)")
    refused(str(model()), "maps 3 observations to 1 actions, but Hopper-v4 has 11 and 3: it belongs to another env", HOPPER)
    refused(f"{model()},step=3", "step is for folders of policies")
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    refused(str(model()), "needs stable_baselines3: run `pip install stable-baselines3==2.9.2`")
