"""Contacts with boxes as MuJoCo 2.1.0 made them, for D4RL's physics on today's MuJoCo (docs/fidelity.md).

Three things about them were mended since, all of them after D4RL's data had been recorded:

- a sphere or capsule whose centre is inside a box penetrated it by its radius and no more;
- two boxes were half as far from each other, or in each other, as they are;
- of the face of a box that touches another's only those edges counted that lean less than 30° from that other face, from the
  closest corner on: with n the face's normal, edges along a box's axis a where |n·a| < ½.

So today's contacts are those of 2.1.0 and more; they are made shallower, and those that it had not are left out.
"""

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUND = (int(mujoco.mjtGeom.mjGEOM_SPHERE), int(mujoco.mjtGeom.mjGEOM_CAPSULE))
_BOX = int(mujoco.mjtGeom.mjGEOM_BOX)
_STEEPEST = 0.5
_SAME = 1e-6
"""Cosines and positions, relative to a box's size, within which a normal is a box's axis and a point one of its corners."""
_IN_GAP = 1
"""`mjContact.exclude` of a contact without force."""


def forward(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """`mj_forward`, with the contacts that MuJoCo 2.1.0 would have made."""
    mujoco.mj_fwdPosition(model, data)
    if correct_contacts(model, data):
        mujoco.mj_makeConstraint(model, data)
        mujoco.mj_island(model, data)
        mujoco.mj_projectConstraint(model, data)
    mujoco.mj_sensorPos(model, data)
    mujoco.mj_fwdVelocity(model, data)
    mujoco.mj_sensorVel(model, data)
    mujoco.mj_fwdActuation(model, data)
    mujoco.mj_fwdAcceleration(model, data)
    mujoco.mj_fwdConstraint(model, data)
    mujoco.mj_sensorAcc(model, data)


def step_euler(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """`mj_step` by the semi-implicit Euler method, with those contacts."""
    mujoco.mj_checkPos(model, data)
    mujoco.mj_checkVel(model, data)
    forward(model, data)
    mujoco.mj_checkAcc(model, data)
    mujoco.mj_Euler(model, data)


def correct_contacts(model: mujoco.MjModel, data: mujoco.MjData) -> bool:
    """Change the contacts of `data`, after collision detection; returns whether one was changed."""
    if not data.ncon:
        return False
    contacts = data.contact
    first, second = contacts.geom1, contacts.geom2
    kinds, other = model.geom_type[first], model.geom_type[second]
    changed = False
    radius = model.geom_size[first, 0]
    for number in np.flatnonzero(np.isin(kinds, _ROUND) & (other == _BOX) & (contacts.dist < -radius)):
        contacts[number].dist = -radius[number]
        changed = True
    for number in np.flatnonzero((kinds == _BOX) & (other == _BOX)):
        contact = contacts[number]
        was_there = _was_there(model, data, contact)
        if was_there is not None:
            contact.exclude = 0 if was_there else _IN_GAP
            contact.dist /= 2
            changed = True
    return changed


def _was_there(model: mujoco.MjModel, data: mujoco.MjData, contact: mujoco.MjContact) -> bool | None:
    """Whether MuJoCo 2.1.0 made this contact of a box with another's face, at today's distance; None for two edges."""
    normal = contact.frame[:3]
    for face, touching, away in ((contact.geom1, contact.geom2, normal), (contact.geom2, contact.geom1, -normal)):
        if np.abs(data.geom_xmat[face].reshape(3, 3).T @ away).max() < 1 - _SAME:
            continue  # it is not an axis of this one
        to_axes = data.geom_xmat[touching].reshape(3, 3).T
        leaning = to_axes @ away
        point = contact.pos + away * contact.dist / 2 - data.geom_xpos[touching]
        corner = to_axes @ point / model.geom_size[touching] + np.sign(leaning)
        return bool(np.all(np.abs(corner[np.abs(leaning) >= _STEEPEST]) < _SAME))
    return None
