"""Where a stage computes: its device, on one thread."""

import contextlib
from collections.abc import Iterator

import torch

from ailot_ray.errors import ConfigError


@contextlib.contextmanager
def reproducible() -> Iterator[None]:
    """Limit torch to one CPU thread and to full float32 precision, and give back what was set before.

    The networks are small: a second thread makes them slower wherever the other core has work, and the bytes of a result would
    depend on the number of threads. Several processes use several cores (`--workers`).
    """
    threads, tf32 = torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = tf32


def choose_device(device: str) -> torch.device:
    """Turn the `device` setting into a torch device. Raises ConfigError where it is none, or not there."""
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        chosen = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"--device {device} is not a device: use cpu, cuda, cuda:N or auto") from None
    if chosen.type not in ("cpu", "cuda"):
        raise ConfigError(f"--device {device} is not supported: use cpu, cuda, cuda:N or auto")
    if chosen.type == "cuda":
        count = torch.cuda.device_count()
        if (chosen.index or 0) >= count:
            raise ConfigError(f"--device {device} is not there: torch sees {count} CUDA devices; use --device cpu or auto")
    return chosen
