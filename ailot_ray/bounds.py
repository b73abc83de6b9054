"""Settings with bounds declared in the types of their fields, checked in one place."""

import functools
import math
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import msgspec

from ailot_ray.errors import ConfigError

Amount = Annotated[int, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
OpenFraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Rate = Annotated[float, msgspec.Meta(ge=0, lt=1)]


def require(condition: bool, path: str, value: object, rule: str) -> None:
    if not condition:
        raise ConfigError(f"--{path.replace('_', '-')} is {value}, but it must be {rule}")


class Section:
    """Base of every section: checks each field's type and bounds. Raises ConfigError naming the flag."""

    prefix: ClassVar[str]

    def __init_subclass__(cls, prefix: str = "") -> None:
        cls.prefix = prefix

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():  # type: ignore[arg-type]
            value = getattr(self, name)
            if isinstance(value, Path) or is_dataclass(value):
                continue
            try:
                msgspec.convert(value, hint)
            except (msgspec.ValidationError, NotImplementedError):
                require(False, self.prefix + name, value, _rule(hint))
            require(not isinstance(value, float) or math.isfinite(value), self.prefix + name, value, "a finite number")


@functools.cache
def _hints(section: type[Any]) -> dict[str, Any]:
    """The types of a section's fields, bounds included."""
    hints = get_type_hints(section, include_extras=True)
    return {item.name: hints[item.name] for item in fields(section)}


def _rule(hint: Any) -> str:
    """What a field's type allows, in words: ``0 or more``."""
    if get_origin(hint) is Annotated:
        bounds = get_args(hint)[1]
        if (bounds.ge, bounds.le) == (0, 1):
            return "between 0 and 1"
        words = {"ge": "{} or more", "gt": "above {}", "le": "at most {}", "lt": "below {}"}
        said = [text.format(getattr(bounds, name)) for name, text in words.items() if getattr(bounds, name) is not None]
        return " and ".join(said)
    inner = [choice for choice in get_args(hint) if get_origin(choice) is Annotated]
    return _rule(inner[0]) if inner else type_name(hint)


def type_name(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return type_name(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    if get_args(hint):
        return " or ".join(type_name(choice) for choice in get_args(hint))
    return "None" if hint is type(None) else str(hint.__name__)
