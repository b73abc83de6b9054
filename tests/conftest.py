"""One thread for torch, so that tests neither crowd the machine nor differ with its cores; reproducible property tests."""

import signal
from typing import Any

import pytest
import torch
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

torch.set_num_threads(1)
settings.register_profile("ailot", deadline=None, derandomize=True, database=None)
settings.load_profile("ailot")
# a shell that starts pytest in the background has SIGINT ignored, in all that pytest starts as well: tests send it
signal.signal(signal.SIGINT, signal.default_int_handler)


class OneRay(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """With `-n 2` all tests of Ray take turns in one process, and of the others those of a file do."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "ray" if "cluster/" in file else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneRay:
    return OneRay(config, log)
