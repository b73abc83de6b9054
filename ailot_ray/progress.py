"""Progress of long work on standard error: a bar on a terminal, a line now and then in a log."""

import sys
from typing import Any

from tqdm import tqdm

LOG_EVERY_SECONDS = 60.0


class _State:
    """Whether this process draws at all."""

    quiet = False


class _LogFile:
    """Standard error as a log: a line for each state of a bar, in place of a line drawn over and over."""

    last = ""

    def write(self, text: str) -> None:
        state = text.strip("\r\n ")
        # the last one is drawn again when the bar closes; the first says nothing yet
        if state and state != self.last and ":   0%|" not in state:
            sys.stderr.write(state + "\n")
            self.last = state

    def flush(self) -> None:
        sys.stderr.flush()


def silence(quiet: bool = True) -> None:
    """Draw nothing in this process."""
    _State.quiet = quiet


def tell_line(text: str) -> None:
    """Say on standard error that something has ended, between whatever bars there are."""
    if not _State.quiet:
        tqdm.write(text, file=sys.stderr)


def progress_bar(total: int, description: str, unit: str, initial: int = 0) -> "tqdm[Any]":
    """A tqdm bar in the project's manner; `initial` is what an earlier run already did."""
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        initial=initial,
        leave=False if terminal else None,
        disable=_State.quiet,
        mininterval=0.2 if terminal else LOG_EVERY_SECONDS,
        maxinterval=10.0 if terminal else LOG_EVERY_SECONDS,
        dynamic_ncols=terminal,
        position=None if terminal else 0,  # in a log no bar stands below another
        ascii=not terminal,
        file=sys.stderr if terminal else _LogFile(),
    )
