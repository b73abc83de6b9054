"""One thread for torch, so that tests neither crowd the machine nor differ with its cores; reproducible property tests."""

import signal

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("ailot", deadline=None, derandomize=True, database=None)
settings.load_profile("ailot")
# a shell that starts pytest in the background has SIGINT ignored, in all that pytest starts as well: tests send it
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n 2 --dist loadgroup` all tests that start Ray take turns in one process; of the others, those of a file do."""
    for item in items:
        name = "ray" if item.get_closest_marker("cluster") or "/cluster/" in item.path.as_posix() else item.path.as_posix()
        item.add_marker(pytest.mark.xdist_group(name))
