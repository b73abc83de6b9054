"""Contacts with boxes as MuJoCo 2.1.0 made them: its own, read from it, for a geom on or in a wide flat box."""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import pytest

from ailot_ray.envs import make_env
from ailot_ray.envs.contacts import forward, step_euler
from ailot_ray.tasks import get_task

MODEL = """
<mujoco><worldbody>
  <geom type="box" size="0.45 0.45 0.025" margin="{margin}"/>
  <body pos="{place}" quat="{turn}"><freejoint/><geom type="{kind}" size="{size}" margin="{margin}" mass="1"/></body>
</worldbody></mujoco>
"""
MARGIN = 0.0005  # of both geoms, the larger of which counted; today the sum of two halves does


@dataclass(frozen=True)
class Case:
    """A geom above the box, its contacts in MuJoCo 2.1.0 as (distance, x, y, z), and its velocity after one step there."""

    kind: str
    size: str
    place: str
    turn: str
    contacts: list[tuple[float, float, float, float]]
    velocity: list[float]


CASES = {
    "tilted_plank": Case(
        "box",
        "0.03 0.001 0.001",
        "0.06 0 0.0292",
        "-0.32 -0.54 0.18 0.76",
        [(-0.00892749, 0.0541873, -0.0195394, 0.0160725), (-0.008572908, 0.0523227, -0.0196829, 0.0164271)],
        [0.0062833932, 0.0178043039, 0.0156371744, 0.5244331427, -0.7110956064, 1.4055360353],
    ),
    "tilted_block": Case(
        "box",
        "0.025 0.025 0.0095",
        "0 0 0.0387",
        "-0.69 -0.42 0.09 0.59",
        [(-0.009263389, -0.0051248, -0.0165958, 0.0157366), (-5.8471e-05, -0.019812, 0.0275105, 0.0249415)],
        [0.0087337457, 0.0211752888, 0.0297034531, -0.6676195777, -0.7688073724, 0.4305291823],
    ),
    "leaning_little": Case(
        "box",
        "0.01 0.02 0.03",
        "0.1 0 0.054",
        "0.98 0.08 0.05 0.1",
        [(-0.00234928, 0.1100919, -0.0127499, 0.0226507), (-0.001511947, 0.0906025, -0.0169162, 0.0234881)],
        [-0.0057589971, 0.0077345521, 0.0081136958, -0.2978579547, -0.1585731333, -0.0270495398],
    ),
    "upright": Case(
        "box",
        "0.01 0.02 0.03",
        "0.1 0 0.054",
        "1 0 0 0",
        [
            (-0.0005, 0.09, -0.02, 0.0245),
            (-0.0005, 0.09, 0.02, 0.0245),
            (-0.0005, 0.11, -0.02, 0.0245),
            (-0.0005, 0.11, 0.02, 0.0245),
        ],
        [-0.0, -0.0, 0.00494, 0.0, -0.0, -0.0],
    ),
    "over_the_edge": Case(
        "box",
        "0.03 0.03 0.03",
        "0.45 0 0.054",
        "1 0.02 0.0 0.05",
        [
            (-0.001116213, 0.4230811, -0.0316213, 0.0238838),
            (-0.001089237, 0.45, -0.0289237, 0.0239108),
            (8.0317e-05, 0.4170984, 0.0280317, 0.0250803),
            (0.000113288, 0.45, 0.0313288, 0.0251133),
        ],
        [0.0006139327, 0.0030590924, 0.0045059319, -0.1053947497, 0.0319664052, -0.0016663748],
    ),
    "beside": Case(
        "box",
        "0.02 0.01 0.03",
        "0.469 0.1 0.01",
        "0.95 0.05 0 0.02",
        [
            (-0.000734151, 0.4492658, 0.1122443, -0.0188292),
            (-0.000685473, 0.4493145, 0.1076199, 0.025),
            (-0.000314447, 0.4496856, 0.0923724, -0.0209278),
            (-0.000263438, 0.4497366, 0.0875267, 0.025),
        ],
        [0.0119838275, -0.0, -0.0076361725, 0.0379686559, 0.0111450853, -0.0781210865],
    ),
    "hovering": Case(
        "box",
        "0.02 0.01 0.03",
        "0 0 0.0552",
        "1 0.01 0.005 0.2",
        [
            (-5.9837e-05, 0.0219017, -0.0010165, 0.0249402),
            (5.5534e-05, -0.0150198, -0.0164031, 0.0250555),
            (0.000151676, 0.0142122, 0.0174414, 0.0251517),
        ],
        [-0.0014011201, 0.0014084489, 0.0013542369, -0.0647291618, -0.0261596647, 0.0014524484],
    ),
    "deep_capsule": Case(
        "capsule",
        "0.007 0.012",
        "0 0 0.02",
        "0.9 0.3 0.1 0",
        [(-0.007, -0.0023736, 0.0071209, 0.0143187)],
        [0.0039126586, -0.0117379757, 0.0193547647, 2.2835459266, 0.7611819755, 0.0],
    ),
    "deep_sphere": Case(
        "sphere", "0.01", "0.1 0.1 0.018", "1 0 0 0", [(-0.01, 0.1, 0.1, 0.0165)], [0.0, 0.0, 0.051519, 0.0, 0.0, 0.0]
    ),
    "touching_capsule": Case(
        "capsule",
        "0.007 0.012",
        "0 0 0.03",
        "0.7 0.7 0.1 0",
        [(-0.002121212, 0.001697, -0.0118788, 0.0239394), (-0.001878788, -0.001697, 0.0118788, 0.0240606)],
        [-4.18879e-05, 0.0002932153, 0.0123174359, -0.0514412844, -0.0073487549, 0.0],
    ),
}


def simulate(case: Case, margin: float = MARGIN / 2) -> tuple[Any, Any]:
    text = MODEL.format(margin=margin, place=case.place, turn=case.turn, kind=case.kind, size=case.size)
    model = mujoco.MjModel.from_xml_string(text)
    return model, mujoco.MjData(model)


def contacts(data: Any) -> np.ndarray:
    """(distance, x, y, z) of each that has a force, in order."""
    felt = [(one.dist, *one.pos) for one in data.contact[: data.ncon] if not one.exclude]
    return np.array(sorted((round(float(row[0]), 9), *(round(float(value), 7) for value in row[1:])) for row in felt))


@pytest.mark.parametrize("name", CASES)
def test_contacts_are_those_of_mujoco_2_1(name: str) -> None:
    case = CASES[name]
    model, data = simulate(case)
    forward(model, data)
    np.testing.assert_allclose(contacts(data), case.contacts, rtol=0, atol=2e-7)
    assert data.nefc == 4 * len(case.contacts), "a contact that is left out has no force"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.kind != "capsule"])
def test_a_step_is_that_of_mujoco_2_1(name: str) -> None:
    """Capsules apart, whose inertia 2.1.0 took for another."""
    model, data = simulate(CASES[name])
    step_euler(model, data)
    np.testing.assert_allclose(data.qvel, CASES[name].velocity, rtol=1e-5, atol=1e-9)


def test_without_boxes_a_step_is_mujocos_own() -> None:
    text = MODEL.format(margin=0, place="0 0 0.05", turn="1 0.2 0 0", kind="box", size="0.01 0.02 0.03")
    model = mujoco.MjModel.from_xml_string(text.replace('type="box" size="0.45 0.45 0.025"', 'type="plane" size="1 1 1"'))
    ours, theirs = mujoco.MjData(model), mujoco.MjData(model)
    for _ in range(100):
        step_euler(model, ours)
        mujoco.mj_step(model, theirs)
    assert theirs.ncon
    np.testing.assert_array_equal(ours.qpos, theirs.qpos)
    np.testing.assert_array_equal(ours.qvel, theirs.qvel)


@pytest.mark.parametrize("name", ["door-human-v1", "relocate-human-v1"])
def test_the_hand_feels_them_in_d4rls_physics_alone(name: str) -> None:
    """Fingers are pushed into the table by more than their radius, and palms onto it by what is today twice as much."""
    deepest = {}
    for physics in ("d4rl", "mujoco"):
        env: Any = make_env(get_task(name), physics=physics)
        generator, beyond = np.random.default_rng(0), 0.0
        for seed in range(3):
            env.reset(seed=seed)
            model, data = env.unwrapped.model, env.unwrapped.data
            for step in range(25):
                if step % 5 == 0:
                    action = generator.uniform(-1, 1, env.action_space.shape).astype(np.float32)
                env.step(action)
                for one in data.contact[: data.ncon]:
                    kinds = model.geom_type[[one.geom1, one.geom2]]
                    if tuple(kinds) == (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_BOX):
                        beyond = max(beyond, -one.dist - model.geom_size[one.geom1, 0])
        deepest[physics] = beyond
    assert deepest["d4rl"] < 1e-12
    assert deepest["mujoco"] > 1e-4


def test_where_nothing_touches_the_hand_moves_as_in_todays_physics() -> None:
    """Held up, away from all else, by motors that pull."""
    ends = []
    for physics in ("d4rl", "mujoco"):
        env: Any = make_env(get_task("pen-human-v1"), physics=physics)
        env.reset(seed=0)
        inner = env.unwrapped
        inner.data.qpos[inner.model.joint("OBJTz").qposadr] += 1.0  # the pen
        generator = np.random.default_rng(1)
        for _ in range(2):
            env.step(0.2 * generator.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        assert not any(not one.exclude for one in inner.data.contact[: inner.data.ncon])
        ends.append((inner.data.qpos.copy(), inner.data.time))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=0, atol=1e-9)
    assert np.abs(ends[0][0] - inner.init_qpos)[:20].max() > 1e-3
    assert ends[0][1] == pytest.approx(ends[1][1])
