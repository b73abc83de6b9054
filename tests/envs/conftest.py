"""What needs D4RL's own simulator skips where it is not built."""

import pytest

from ailot_ray.envs.d4rl import client
from ailot_ray.errors import SimulatorError


@pytest.fixture
def built() -> None:
    try:
        client.interpreter()
    except SimulatorError:
        pytest.skip(f"D4RL's simulator is not built: experiments/install_d4rl_simulator.sh, or set {client.PYTHON}")
