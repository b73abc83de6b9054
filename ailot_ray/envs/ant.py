"""D4RL's ant in D4RL's maze, as a MuJoCo model built from its figures.

The figures are those of `d4rl/locomotion/assets/ant.xml` and `maze_env.py`. D4RL wraps motors of ±30 Nm in a scaling of actions
from ±1; here the motors themselves have a gear of 30. The body differs from gymnasium's Ant in its gear (150 there), time step
and joint ranges, among others.
"""

import math

import mujoco

from ailot_ray.mazes import CELL, TARGET_RADIUS, WALL_HEIGHT, Maze

CAMERA = "above"
TARGET = "target"

TORQUE = 30.0
"""Newton metres per unit of action."""
_LEGS = {  # by number, in D4RL's order of joints: direction of x, direction of y, range of the ankle in degrees
    1: (1.0, 1.0, (30.0, 70.0)),
    2: (-1.0, 1.0, (-70.0, -30.0)),
    3: (-1.0, -1.0, (-70.0, -30.0)),
    4: (1.0, -1.0, (30.0, 70.0)),
}
_MOTORS = (4, 1, 2, 3)
"""Legs in the order of the action's components, the hip before the ankle."""
_HIP_RANGE = (-30.0, 30.0)
_THIGH, _SHIN = 0.2, 0.4
"""Metres along x and y each."""
_FIELD_OF_VIEW = 20.0
"""Degrees from the lower to the upper edge of a picture: the camera hangs so high that walls hide next to nothing."""


def build_ant_maze(maze: Maze, aspect: float) -> mujoco.MjModel:
    """Compile the ant at the origin of `maze`; its camera shows all of it in a picture of width / height `aspect`.

    qpos (15) is the torso's position (3) and orientation (4), then hip and ankle of legs 1 to 4; qvel (14) accordingly.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = True
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_TRUE
    spec.option.timestep = 0.02
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_RK4
    _set_defaults(spec)
    _add_maze(spec, maze, aspect)
    torso = spec.worldbody.add_body(name="torso", pos=[0.0, 0.0, 0.75])
    torso.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.25, 0.0, 0.0], rgba=[0.85, 0.15, 0.1, 1.0])
    root = torso.add_joint(name="root", type=mujoco.mjtJoint.mjJNT_FREE, limited=False, margin=0.01)
    root.armature, root.damping = 0.0, [0.0, 0.0, 0.0]
    for number in _LEGS:
        _add_leg(torso, number)
    for number in _MOTORS:
        for joint in ("hip", "ankle"):
            motor = spec.add_actuator(name=f"{joint}_{number}", target=f"{joint}_{number}", ctrllimited=True)
            motor.trntype, motor.ctrlrange = mujoco.mjtTrn.mjTRN_JOINT, [-1.0, 1.0]
            motor.gear[0] = TORQUE
    return spec.compile()


def _set_defaults(spec: mujoco.MjSpec) -> None:
    joint, geom = spec.default.joint, spec.default.geom
    joint.limited, joint.armature, joint.damping = True, 1.0, [1.0, 0.0, 0.0]
    geom.condim, geom.conaffinity, geom.margin, geom.density = 3, 0, 0.01, 5.0
    geom.friction, geom.solref, geom.solimp[:3] = [1.0, 0.5, 0.5], [0.02, 1.0], [0.8, 0.8, 0.01]
    geom.rgba = [0.9, 0.45, 0.2, 1.0]


def _add_leg(torso: mujoco.MjsBody, number: int) -> None:
    """A stub that is part of the torso, the thigh, which the hip turns about the vertical, and the shin."""
    x, y, ankle_range = _LEGS[number]
    thigh, shin = [_THIGH * x, _THIGH * y, 0.0], [_SHIN * x, _SHIN * y, 0.0]

    def add_capsule(body: mujoco.MjsBody, end: list[float]) -> None:
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.08, 0.0, 0.0], fromto=[0.0, 0.0, 0.0, *end])

    stub = torso.add_body(name=f"stub_{number}")
    add_capsule(stub, thigh)
    upper = stub.add_body(name=f"thigh_{number}", pos=thigh)
    upper.add_joint(name=f"hip_{number}", axis=[0.0, 0.0, 1.0], range=_HIP_RANGE)
    add_capsule(upper, thigh)
    lower = upper.add_body(name=f"shin_{number}", pos=thigh)
    lower.add_joint(name=f"ankle_{number}", axis=[-x * y, 1.0, 0.0], range=ankle_range)
    add_capsule(lower, shin)


def _add_maze(spec: mujoco.MjSpec, maze: Maze, aspect: float) -> None:
    """Floor and walls, which the ant's geoms touch though not each other; a mark on the target, light and camera."""
    world = spec.worldbody
    left, right, bottom, top = maze.extent
    middle_x, middle_y = (left + right) / 2, (bottom + top) / 2
    plane = mujoco.mjtGeom.mjGEOM_PLANE
    world.add_geom(name="floor", type=plane, size=[40.0, 40.0, 40.0], conaffinity=1, rgba=[0.93, 0.93, 0.9, 1.0])
    half = [CELL / 2, CELL / 2, WALL_HEIGHT / 2]
    for x, y in maze.walls:
        wall = world.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=[x, y, WALL_HEIGHT / 2], size=half, conaffinity=1)
        wall.rgba = [0.35, 0.4, 0.48, 1.0]
    disc = [TARGET_RADIUS, 0.01, 0.0]
    world.add_site(
        name=TARGET, type=mujoco.mjtGeom.mjGEOM_CYLINDER, pos=[*maze.goal, 0.01], size=disc, rgba=[0.1, 0.65, 0.2, 1.0]
    )
    world.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[middle_x, middle_y, 20.0], dir=[0.2, -0.3, -1.0], castshadow=False
    )
    height = max(top - bottom, (right - left) / aspect) / 2 / math.tan(math.radians(_FIELD_OF_VIEW / 2))
    world.add_camera(name=CAMERA, pos=[middle_x, middle_y, WALL_HEIGHT + height], fovy=_FIELD_OF_VIEW)
