"""How a process that is ours alone handles freed memory."""

import ctypes
import functools
import platform


@functools.cache
def keep_freed_memory() -> None:
    """Let glibc reuse freed blocks in place of returning them to the system (training on a CPU is 5 to 10 % faster for it).

    For a process that is ours alone: the command line's and Ray's workers call it, the library does not.
    Activations of a batch lie just above the size from which malloc maps fresh pages for every single tensor.
    """
    if platform.libc_ver()[0] == "glibc":
        libc, gibibyte = ctypes.CDLL(None), 1 << 30
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
        libc.mallopt(mmap_threshold, gibibyte)
        libc.mallopt(trim_threshold, gibibyte)
        libc.mallopt(top_pad, 1 << 26)
