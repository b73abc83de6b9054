"""The errors a user can cause, each a single line that names the thing and the remedy."""


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
    """What an exception says, on one line; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
