"""Dict observations as one vector: the parts in the order of their names, in datasets and in environments alike.

That is the order of gymnasium.spaces.flatten for a Dict made of a plain dict. A Dict inside of a Dict stands where its name
does, and gives parts such as ``achieved_goal.kettle``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Parts = tuple[tuple[str, int], ...]
"""Name and size of each part, in their order; empty where observations are vectors themselves."""


class Leaf(NamedTuple):
    """A space that is no Dict."""

    kind: str
    shape: tuple[int, ...]
    dtype: str


def leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of all that a nested mapping holds, in the order of the names.

    >>> [name for name, _ in leaves({"goal": {"y": 1, "x": 2}, "body": 3})]
    ['body', 'goal.x', 'goal.y']
    """
    for name in sorted(tree):
        if isinstance(tree[name], Mapping):
            yield from leaves(tree[name], f"{above}{name}.")
        else:
            yield f"{above}{name}", tree[name]


def from_json(space: Mapping[str, Any]) -> Any:
    """A space as Minari writes it: a :class:`Leaf`, of a Dict a mapping of them."""
    if space["type"] == "Dict":
        return {name: from_json(inner) for name, inner in space["subspaces"].items()}
    return Leaf(str(space["type"]), tuple(space.get("shape", ())), str(space.get("dtype", "")))


def from_space(space: Any) -> Any:
    """A space of gymnasium's: a :class:`Leaf`, of a Dict a mapping of them."""
    if isinstance(space, Mapping):
        return {name: from_space(inner) for name, inner in space.items()}
    return Leaf(type(space).__name__, tuple(space.shape or ()), str(space.dtype))


def parts_of(tree: Mapping[str, Any]) -> Parts:
    """The parts of a Dict. Raises ValueError, naming the part, where one is no vector of numbers, or there is none."""
    found = []
    for name, leaf in leaves(tree):
        if leaf.kind != "Box" or len(leaf.shape) > 1 or leaf.dtype == "uint8":
            told = f" of shape {list(leaf.shape)} and type {leaf.dtype}" if leaf.kind == "Box" else ""
            raise ValueError(f"part {name} of the observations is a {leaf.kind}{told}, not a vector of numbers")
        found.append((name, leaf.shape[0] if leaf.shape else 1))
    if not found:
        raise ValueError("the observations are a Dict without parts")
    return tuple(found)


def size_of(parts: Parts) -> int:
    """The size of an observation of these parts."""
    return sum(size for _, size in parts)


def told(parts: Parts) -> str:
    """Names and sizes in words.

    >>> told((("goal", 2), ("observation", 4)))
    'goal 2, observation 4'
    """
    return ", ".join(f"{name} {size}" for name, size in parts)
