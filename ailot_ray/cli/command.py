"""From arguments to an exit status: every failure that a user can cause ends in one line and a status other than 0."""

import contextlib
import io
import json
import logging
import math
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from ailot_ray.errors import AilotError, one_line, way_out

USAGE, FAILURE, INTERRUPTED = 2, 1, 130


class UsageError(AilotError):
    """A command line that cannot be parsed."""


def parse(verbs: Any, program: str, about: str, arguments: Sequence[str], default: Any = None) -> Any:
    """Turn arguments into one of `verbs`. Prints help and exits with 0 where asked to; raises UsageError or ConfigError."""
    arguments = [re.sub(r"^--simulator(?==|$)", "--evaluation.simulator", argument) for argument in arguments]
    foreign = [argument for argument in arguments if not argument.isascii() and not _is_text(argument)]
    if foreign:  # JSON and Parquet hold text alone, and would end the command when its work is done
        raise UsageError(f"{foreign[0]!r} is no UTF-8 text: rename the file or folder")
    given = {} if default is None else {"default": default}

    def cli() -> Any:
        return tyro.cli(verbs, prog=program, description=about, args=arguments, **given)

    if {"--help", "-h"} & {*arguments}:
        return cli()
    captured = io.StringIO()
    try:
        with contextlib.redirect_stdout(captured), contextlib.redirect_stderr(captured):
            return cli()
    except SystemExit as end:
        if not end.code:
            return cli()  # help, in the terminal's own width and colours
    raise UsageError(_one_line(captured.getvalue(), program))


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:  # a byte of a file's name that is none, as Python passes it on
        return False
    return True


def _one_line(report: str, program: str) -> str:
    """tyro's report (a title, the message, hints, with rules between) as one line."""
    sections = [" ".join(section.split()) for section in re.split(r"\n\s*-{10,}\s*\n", report)]
    message = sections[1] if len(sections) > 1 else " ".join(sections)
    message = re.sub(r"\s*Got errors:.*", "", message).rstrip(".")
    near = re.search(r"Perhaps you meant:?\s+(--[\w.-]+)", " ".join(sections))
    choices = next((f"{section}; " for section in sections if section.startswith("Available subcommands")), "")
    hint = f"did you mean {near.group(1)}? " if near else choices
    return f"{message}: {hint}`{program} … --help` lists the flags"


def without_nan(value: Any) -> Any:
    """`value` with null in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_command(verbs: Any, program: str, about: str, arguments: Sequence[str], default: Any = None) -> int:
    """Parse `arguments`, execute what they name, and return the exit status; with `--json` print its result last."""
    logging.basicConfig(level=logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # one whose encoding lacks a sign gets a question mark, not an exception
            stream.reconfigure(errors="replace")
    try:
        verb = parse(verbs, program, about, arguments, default)
        result = verb.execute()
        if verb.json:
            print(json.dumps(without_nan(result), sort_keys=True, allow_nan=False))
        if sys.stdout is not None:  # as it is after `>&-`
            sys.stdout.flush()
    except AilotError as error:
        print(f"ailot_ray: {one_line(error)}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILURE
    except BrokenPipeError:  # the reader of the pipe has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        reason = " ".join(str(error.strerror or error).split())
        print(f"ailot_ray: {reason}{where}: {way_out(error)}, or choose another --store", file=sys.stderr)
        return FAILURE
    except KeyboardInterrupt:
        print("ailot_ray: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return INTERRUPTED
    return 0
