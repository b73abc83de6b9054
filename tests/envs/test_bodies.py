"""D4RL's bodies and contacts on today's MuJoCo: weights by D4RL's own formula, and one step against D4RL where it is built."""

import json
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from ailot_ray.config import PlayedPhysics
from ailot_ray.envs import bodies, make_env
from ailot_ray.envs.d4rl import client as original
from ailot_ray.errors import SimulatorError
from ailot_ray.tasks import get_task

HOPPER = "hopper-medium-v2"
WEIGHTS = {  # kilograms in D4RL, and in today's MuJoCo
    HOPPER: (15.264999, 15.820013),
    "walker2d-medium-v2": (22.698007, 23.677136),
    "halfcheetah-medium-v2": (14.0, 14.0),
    "antmaze-umaze-v2": (0.878710, 0.910880),
    "antmaze-large-play-v2": (0.878710, 0.910880),
}
ADROIT = ("pen-human-v1", "door-human-v1", "hammer-human-v1", "relocate-human-v1")


def model_of(name: str, physics: PlayedPhysics) -> Any:
    env: Any = make_env(get_task(name), physics=physics)
    return env.unwrapped.model


def masses(model: Any, ends: float) -> np.ndarray:
    """Of each body, from its spheres and capsules, whose two ends have `ends`·π·r³ together; up to a common factor."""
    radius, half = model.geom_size[:, 0], model.geom_size[:, 1]
    capsule = model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE
    volumes = np.where(capsule, 2 * half * radius**2 + ends * radius**3, 4 / 3 * radius**3)
    return np.bincount(model.geom_bodyid, np.where(model.geom_bodyid > 0, volumes, 0.0), model.nbody)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize(("physics", "ends"), [("d4rl", 1.0), ("mujoco", 4 / 3)])
def test_bodies_weigh_what_their_capsules_do(name: str, physics: PlayedPhysics, ends: float) -> None:
    model = model_of(name, physics)
    assert model.body_mass.sum() == pytest.approx(WEIGHTS[name][physics == "mujoco"], abs=1e-6)
    expected = masses(model, ends)
    np.testing.assert_allclose(model.body_mass / model.body_mass.sum(), expected / expected.sum(), rtol=1e-6)


def test_what_follows_from_masses_follows() -> None:
    light, heavy = model_of(HOPPER, "d4rl"), model_of(HOPPER, "mujoco")
    assert light.body_subtreemass[0] == pytest.approx(WEIGHTS[HOPPER][0], abs=1e-6)
    # as read from D4RL's compiled model
    np.testing.assert_allclose(light.dof_invweight0[:3], [0.19841727, 0.06614406, 1.07957528], rtol=1e-7)
    assert (light.dof_invweight0 > heavy.dof_invweight0).all()


@pytest.mark.parametrize("name", [HOPPER, "antmaze-umaze-v2", "hammer-human-v1", "relocate-human-v1"])
def test_geoms_touch_from_the_larger_margin_on(name: str) -> None:
    """As in D4RL; today from the sum of the two."""
    factors: dict[PlayedPhysics, float] = {"d4rl": 1.0, "mujoco": 2.0}
    for physics, factor in factors.items():
        env: Any = make_env(get_task(name), physics=physics)
        env.reset(seed=0)
        simulator = env.unwrapped
        found: set[float] = set()
        for _ in range(40):
            env.step(np.zeros(env.action_space.shape, np.float32))
            data = simulator.data
            # pairs named in the model file have margins of their own
            found |= {round(one.includemargin, 9) for one in data.contact[: data.ncon] if one.includemargin}
        assert list(found) == [pytest.approx(factor * model_of(name, "mujoco").geom_margin.max())]


@pytest.mark.parametrize("name", ADROIT)
def test_hands_weigh_the_same_and_touch_as_d4rls(name: str) -> None:
    theirs, today = model_of(name, "d4rl"), model_of(name, "mujoco")
    np.testing.assert_array_equal(theirs.body_mass, today.body_mass)
    off = int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD) | int(mujoco.mjtDisableBit.mjDSBL_MULTICCD)
    assert (theirs.opt.disableflags & off, today.opt.disableflags & off) == (off, 0)


def test_bodies_that_are_neither_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = json.loads(bodies.FIGURES.read_text())
    planted["bodies"]["Hopper-v4"]["mujoco"]["body_mass"][2] *= 1.0001
    (tmp_path / "figures.json").write_text(json.dumps(planted))
    monkeypatch.setattr(bodies, "FIGURES", tmp_path / "figures.json")
    bodies.read_figures.cache_clear()
    try:
        for physics in ("d4rl", "mujoco"):
            with pytest.raises(SimulatorError, match=r"hopper-medium-v2: Hopper-v4: its bodies weigh 15.82 kg") as caught:
                model_of(HOPPER, physics)
            assert "\n" not in str(caught.value)
    finally:
        bodies.read_figures.cache_clear()


def test_a_mujoco_that_makes_d4rls_bodies_plays_d4rls_physics_alone() -> None:
    model = model_of(HOPPER, "d4rl")
    bodies.set_physics(model, "Hopper-v4", "d4rl")
    with pytest.raises(SimulatorError, match=r"weigh 15\.26 kg"):
        bodies.set_physics(model, "Hopper-v4", "mujoco")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", [*WEIGHTS, *ADROIT])
def test_ten_steps_are_d4rls(name: str) -> None:
    """The first to 1e-6, which the solver's tolerance leaves, and the tenth to what becomes of it."""
    task = get_task(name)
    theirs, mine = original.D4RLEnv(task), make_env(task, physics="d4rl")
    simulator: Any = mine.unwrapped
    generator = np.random.default_rng(0)
    for seed in range(3):
        theirs.reset(seed=seed)
        mine.reset(seed=seed)
        state = theirs.state()
        for field in ("body_pos", "body_quat", "site_pos"):
            kind = mujoco.mjtObj.mjOBJ_SITE if field == "site_pos" else mujoco.mjtObj.mjOBJ_BODY
            for one, value in state[field].items():
                number = mujoco.mj_name2id(simulator.model, kind, one)
                if number >= 0:
                    getattr(simulator.model, field)[number] = value
        mujoco.mj_resetData(simulator.model, simulator.data)
        simulator.data.qpos[:], simulator.data.qvel[:] = state["qpos"], state["qvel"]
        mujoco.mj_forward(simulator.model, simulator.data)
        theirs.set_state(state)
        action = generator.uniform(-1.0, 1.0, task.action_size).astype(np.float32)
        for step in range(10):
            here, there = mine.step(action), theirs.step(action)
            np.testing.assert_allclose(here[0], there[0], rtol=0, atol=1e-5 if step else 1e-6)
            assert here[2] == there[2]
            if there[2]:
                break
