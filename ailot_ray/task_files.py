"""Tasks outside of the table, read as a Task's fields: ``FILE.toml:NAME``, a user's own, and ``minari:ID``, a Minari dataset.

A file of tasks is TOML, a table for each task. Required: `environment` (a gymnasium id; ``module:Id`` imports the module),
`observation_size`, `action_size`, `horizon` (steps), `reference_min` and `reference_max` (mean returns of a random policy and
of an expert, between which scores are 0 and 100). Optional: `data` (a file in D4RL's schema beside the task file, or
``minari:ID``), `action_low` and `action_high` (the environment's bounds, one number or one for each component, where they
are not ±1), `options` (keyword arguments of the environment), `like` (the domain whose settings it takes, locomotion by
default) and `settings` (a table of paths such as ``iql.expectile``, which stand above the domain's and below flags).
"""

import difflib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ailot_ray.config import MINARI, Config, flatten, with_settings
from ailot_ray.errors import ConfigError
from ailot_ray.minari_fetch import dataset_folder, minari_root, split
from ailot_ray.parts import Parts, from_json, parts_of, size_of

_REQUIRED = ("environment", "observation_size", "action_size", "horizon", "reference_min", "reference_max")
_OPTIONAL = ("data", "action_low", "action_high", "options", "like", "settings")
_PRESETS = ("locomotion", "antmaze", "adroit")
Fields = dict[str, Any]


_NARROWEST, _WIDEST = 2.0**-126, (2.0 - 2.0**-23) * 2.0**127
"""The smallest normal and the largest number of float32."""


def unscalable(low: Sequence[float], high: Sequence[float]) -> int | None:
    """The first component whose bounds cannot be scaled to ±1 in float32 and back: equal, reversed, or too far apart.

    >>> unscalable((0.0, 3.0), (10.0, 3.0))
    1
    """
    widths = (above - below for below, above in zip(low, high, strict=True))
    return next((component for component, width in enumerate(widths) if not _NARROWEST <= width <= _WIDEST), None)


def read_task(reference: str) -> Fields:
    """The fields of the task that ``minari:ID`` or ``FILE:NAME`` names.

    A Minari dataset that is not on this machine is downloaded (:func:`ailot_ray.minari_fetch.dataset_folder`). Raises
    ConfigError, naming the file and the field, and DataError where a download fails.
    """
    if reference.startswith(MINARI):
        return _of_minari(reference)
    path, _, name = reference.rpartition(":")
    tables = _tables(Path(path))
    if name not in tables:
        near = difflib.get_close_matches(name, tables, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(tables) or 'none'}"
        raise ConfigError(f"--task {reference}: {path} has no task [{name}]: {hint}")
    return _Table(Path(path), name, tables[name]).fields()


def names_in(path: Path) -> list[str]:
    """What `--task` takes for each task of a file. Raises ConfigError where it cannot be read."""
    return [f"{path}:{name}" for name in _tables(path)]


def _tables(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            tables = tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: --task FILE.toml:NAME names a task of a file of your own") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a file of tasks in TOML ({error}); each task is one table, [name], once") from error
    return tables


class _Table:
    """One task's table, looked at field by field."""

    def __init__(self, path: Path, name: str, table: Any) -> None:
        self.path, self.name = path, name
        if not isinstance(table, dict):
            self._refuse(name, "stands outside of a table; begin a task with [name]")
        self.table: dict[str, Any] = table

    def fields(self) -> Fields:
        table = self.table
        for key in table:
            if key not in (*_REQUIRED, *_OPTIONAL):
                near = difflib.get_close_matches(key, (*_REQUIRED, *_OPTIONAL), n=1)
                known = ", ".join((*_REQUIRED, *_OPTIONAL))
                self._refuse(key, f"is unknown: did you mean {near[0]}?" if near else f"is unknown; a task has {known}")
        for key in _REQUIRED:
            if key not in table:
                self._refuse(key, "is missing; `python -m ailot_ray register` writes a task with all that it needs")
        if not isinstance(table["environment"], str) or not table["environment"]:
            self._refuse("environment", "must be the id of a gymnasium environment, in quotes")
        sizes = {key: self._integer(key) for key in ("observation_size", "action_size", "horizon")}
        low, high = self._number("reference_min"), self._number("reference_max")
        if low >= high:
            self._refuse("reference_max", f"is {high:g}, but it must be above reference_min, {low:g}")
        like = table.get("like", "locomotion")
        if like not in _PRESETS:
            self._refuse("like", f"is {like!r}, but it must be one of {', '.join(_PRESETS)}")
        options = table.get("options", {})
        if not isinstance(options, dict):
            self._refuse("options", "must be a table of keyword arguments")
        return {
            "name": f"{self.path}:{self.name}",
            "domain": "custom",
            "environment": table["environment"],
            **sizes,
            "reference_min": low,
            "reference_max": high,
            "data": self._data(),
            "parts": _parts_here(self._data()),
            **self._bounds(sizes["action_size"]),
            "options": options,
            "like": like,
            "settings": self._settings(),
        }

    def _data(self) -> str | None:
        data = self.table.get("data")
        if data is not None and (not isinstance(data, str) or not data):
            self._refuse("data", "must be the name of a file, or minari:ID, in quotes")
        return data if data is None or data.startswith(MINARI) else str(self.path.parent / data)

    def _bounds(self, size: int) -> Fields:
        low, high = self.table.get("action_low"), self.table.get("action_high")
        if low is None and high is None:
            return {}
        bounds = {}
        for key, value in (("action_low", low), ("action_high", high)):
            numbers: list[Any] = value if isinstance(value, list) else [value] * size
            if len(numbers) != size or not all(_is_number(number) for number in numbers):
                self._refuse(key, f"must be a number, or a list of {size}, beside the other bound")
            bounds[key] = tuple(float(number) for number in numbers)
        held = unscalable(*bounds.values())
        if held is not None:
            self._refuse("action_high", f"must be above action_low in component {held}, by no more than float32 holds")
        return bounds

    def _settings(self) -> dict[str, Any]:
        given = self.table.get("settings", {})
        if not isinstance(given, dict):
            self._refuse("settings", "must be a table of paths, such as iql.expectile = 0.8")
        settings, plain = dict(_flat(given)), flatten(Config())
        for path in settings:
            if path in plain and plain[path] is not None:
                free = ", ".join(path for path, value in plain.items() if value is None and "." in path)
                self._refuse(f"settings.{path}", f"is the same for all tasks, give it as a flag; a task may set {free}")
        try:
            with_settings(Config(), settings)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: [{self.name}] settings: {error}") from error
        return settings

    def _integer(self, key: str) -> int:
        value = self.table[key]
        if type(value) is not int or value < 1:
            self._refuse(key, f"is {value!r}, but it must be a whole number, 1 or more")
        return int(value)

    def _number(self, key: str) -> float:
        value = self.table[key]
        if not _is_number(value):
            self._refuse(key, f"is {value!r}, but it must be a number")
        return float(value)

    def _refuse(self, key: str, reason: str) -> NoReturn:
        raise ConfigError(f"{self.path}: [{self.name}] {key} {reason}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths of a nested table: TOML reads ``iql.expectile = 0.8`` as one."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def on_disk(data: str) -> bool:
    """Whether the data of a custom task are there: a file, or a dataset of Minari's."""
    return (minari_root() / split(data)[1] if data.startswith(MINARI) else Path(data)).exists()


def _parts_here(data: str | None) -> Parts:
    """Parts of the observations of a Minari dataset that is on this machine; the fields of a task need no other."""
    if data is None or not data.startswith(MINARI):
        return ()
    try:
        about = json.loads((minari_root() / split(data)[1] / "data" / "metadata.json").read_text(encoding="utf-8"))
        seen = from_json(json.loads(about["observation_space"]))
        return parts_of(seen) if isinstance(seen, dict) else ()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # who reads the data says what is wrong with them
        return ()


def _of_minari(reference: str) -> Fields:
    """What a Minari dataset says of itself; its metadata are JSON, so this needs neither Minari nor gymnasium.

    Where it has no reference scores, the returns themselves are the scores, and `normalised` is False.
    """
    path = dataset_folder(reference) / "data" / "metadata.json"
    reference = MINARI + split(reference)[1]
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        observations, actions = (json.loads(about[f"{name}_space"]) for name in ("observation", "action"))
        text = about.get("eval_env_spec") or about.get("env_spec")
        spec = json.loads(text) if text else {}
        seen = from_json(observations)
        low, high = about.get("ref_min_score"), about.get("ref_max_score")
    except OSError as error:
        raise ConfigError(f"{reference}: {path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{reference}: {path} is not a Minari dataset's description ({error}); download it again") from error
    try:
        parts = parts_of(seen) if isinstance(seen, dict) else ()
    except ValueError as error:
        raise ConfigError(f"{reference}: {error}; record it again without, or choose another dataset") from error
    for name, space in (("observations", observations), ("actions", actions)):
        if name == "observations" and parts:
            continue
        if space.get("type") != "Box" or len(space.get("shape", ())) != 1:
            kind = f"{space.get('type')} {name}" + (f" of shape {space['shape']}" if "shape" in space else "")
            raise ConfigError(
                f"{reference} has {kind}, but ailot_ray reads Box vectors only: record it again behind "
                "gymnasium.wrappers.FlattenObservation, or choose another dataset"
            )
    lowest, highest = (tuple(float(value) for value in actions[end]) for end in ("low", "high"))
    if not all(math.isfinite(value) for value in (*lowest, *highest)):
        raise ConfigError(f"{reference} has unbounded actions, but a policy needs bounds: choose another dataset")
    held = unscalable(lowest, highest)
    if held is not None:
        raise ConfigError(
            f"{reference}: component {held} of the actions lies between {lowest[held]:g} and {highest[held]:g}, which cannot "
            "be scaled to ±1: record it again without that component"
        )
    if "int" in str(actions.get("dtype", "")):
        raise ConfigError(f"{reference} has actions of type {actions['dtype']}, but a policy gives real numbers")
    normalised = low is not None and high is not None and low < high
    size = actions["shape"][0]
    unit = lowest == (-1.0,) * size and highest == (1.0,) * size
    return {
        "name": reference,
        "domain": "custom",
        "environment": spec.get("id", ""),
        "spec": text or "",
        "observation_size": size_of(parts) or observations["shape"][0],
        "parts": parts,
        "action_size": size,
        "horizon": spec.get("max_episode_steps") or 0,
        "reference_min": float(low) if normalised else 0.0,
        "reference_max": float(high) if normalised else 100.0,
        "normalised": normalised,
        "data": reference,
        **({} if unit else {"action_low": lowest, "action_high": highest}),
    }
