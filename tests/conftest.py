"""One thread for torch, so that tests neither crowd the machine nor differ with its cores; reproducible property tests."""

import signal

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("ailot", deadline=None, derandomize=True, database=None)
settings.load_profile("ailot")
# a shell that starts pytest in the background has SIGINT ignored, in all that pytest starts as well: tests send it
signal.signal(signal.SIGINT, signal.default_int_handler)
