"""The exported file serves another library: d3rlpy learns from our rewards, read as anybody reads D4RL's files."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from data.synthetic import episodes, write_hdf5

from ailot_ray.__main__ import main
from ailot_ray.progress import silence

LENGTHS = (8, 30, 12, 25, 9, 18)
ENDS = ("terminal", "timeout") * 3


@pytest.fixture(scope="module")
def d3rlpy() -> Any:
    return pytest.importorskip("d3rlpy", reason="d3rlpy is not installed")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exported file and the store that its rewards are in."""
    folder = tmp_path_factory.mktemp("export")
    data = write_hdf5(folder / "hopper.hdf5", episodes(LENGTHS, ENDS))
    arguments = ["--task", "hopper-medium-v2", "--data", str(data), "--store", str(folder / "store"), "--device", "cpu"]
    small = ["--icvf.steps", "6", "--icvf.batch-size", "16", "--icvf.width", "16"]
    silence()
    assert main(["data", "export", "--output", str(folder / "relabelled.hdf5"), *arguments, *small]) == 0
    silence(False)
    return folder


def read(d3rlpy: Any, path: Path) -> Any:
    """The file as d3rlpy's own D4RL loader takes one apart."""
    with h5py.File(path) as file:
        keys = ("observations", "actions", "rewards", "terminals", "timeouts")
        columns = {key: np.asarray(file[key]) for key in keys}
    return d3rlpy.dataset.MDPDataset(**columns)


def test_its_episodes_carry_our_rewards(d3rlpy: Any, exported: Path) -> None:
    found = read(d3rlpy, exported / "relabelled.hdf5").episodes
    (artefact,) = (exported / "store" / "rewards").iterdir()
    table = pq.read_table(artefact / "rewards.parquet")
    trajectory, reward = table["trajectory"].to_numpy(), table["reward"].to_numpy()
    with h5py.File(exported / "hopper.hdf5") as file:
        observations, true = np.asarray(file["observations"]), np.asarray(file["rewards"])
    assert [len(episode.rewards) for episode in found] == list(LENGTHS)
    assert [episode.terminated for episode in found] == [end == "terminal" for end in ENDS]
    for number, episode in enumerate(found):
        rows = trajectory == number
        np.testing.assert_array_equal(episode.rewards[:, 0], reward[rows])
        np.testing.assert_array_equal(episode.observations, observations[rows])
        assert not np.allclose(episode.rewards[:, 0], true[rows])


@pytest.mark.parametrize("algorithm", ["IQL", "TD3PlusBC"])
def test_it_learns_from_them(algorithm: str, d3rlpy: Any, exported: Path) -> None:
    dataset = read(d3rlpy, exported / "relabelled.hdf5")
    learner = getattr(d3rlpy.algos, f"{algorithm}Config")(batch_size=16).create(device="cpu:0")
    learner.build_with_dataset(dataset)
    before = {name: value.clone() for name, value in _parameters(learner).items()}
    steps = learner.fit(
        dataset, n_steps=20, n_steps_per_epoch=20, show_progress=False, logger_adapter=d3rlpy.logging.NoopAdapterFactory()
    )
    _, metrics = steps[-1]
    assert all(np.isfinite(value) for name, value in metrics.items() if "loss" in name)
    after = _parameters(learner)
    assert all(torch.isfinite(value).all() for value in after.values())
    changed = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert {"policy", "q_funcs"} <= changed
    actions = learner.predict(dataset.episodes[0].observations)
    assert actions.shape == (LENGTHS[0], 3) and np.abs(actions).max() <= 1


def _parameters(learner: Any) -> dict[str, torch.Tensor]:
    modules = vars(learner.impl.modules)
    return {
        f"{name}.{key}": value.detach()
        for name, module in modules.items()
        if isinstance(module, torch.nn.Module)
        for key, value in module.state_dict().items()
    }
