"""The errors a user can cause, each a single line that names the thing and the remedy."""

import errno


class AilotError(Exception):
    """Base of every error that the command line prints as one line, without a traceback."""


class ConfigError(AilotError):
    """A flag or a configuration value that cannot work; names the path, such as ``reward.tau``."""


class DataError(AilotError):
    """A dataset or expert file that cannot be used; names the file and the field."""


class StoreError(AilotError):
    """An artefact that cannot be read or written; names its folder."""


class SimulatorError(AilotError):
    """An evaluation environment that cannot be made or does not fit; names the task."""


def one_line(error: BaseException) -> str:
    """What an exception says, on one printable line; its type where it says nothing."""
    return printable(" ".join(str(error).split())) or type(error).__name__


def way_out(error: OSError) -> str:
    """What to do about a file that the operating system refuses."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space"
    return "make it writable" if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else "check its folder"


def printable(text: str) -> str:
    """`text` with a sign in place of each control character: what a file holds must not steer the reader's terminal.

    >>> printable("a\\x1b[2Jb")
    'a�[2Jb'
    """
    return "".join(sign if sign.isprintable() else "�" for sign in text)
