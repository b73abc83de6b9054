"""One Ray for all tests marked `cluster`: starting it takes longer than most of them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from ailot_ray.cluster.checks import Outcome


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray on this machine with two cores. `connected` joins it and leaves it open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
        yield
        ray.shutdown()


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def require_failed(outcome: Outcome, *texts: str) -> None:
    """The check failed, and its line and remedy hold these texts."""
    assert outcome.ok is False and outcome.remedy
    for text in texts:
        assert text in f"{outcome.detail}: {outcome.remedy}"
