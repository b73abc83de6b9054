"""Somebody's own environment, held to what the rest of the package relies on."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ailot_ray.errors import SimulatorError


class Guarded(gymnasium.Wrapper[NDArray[Any], Any, NDArray[Any], Any]):
    """Copies each observation, takes lists and one-element arrays, and stops at the first thing that is not a number.

    An environment may hand out the same array at every step, changed in place: whoever keeps it would keep its last state.
    Rewards and flags may be arrays of one element. `where` names the task in errors.

    Raises SimulatorError, naming environment, episode and step, for an observation of another shape or with NaN or infinite
    values, for such a reward, and for whatever the environment itself raises.
    """

    def __init__(self, env: Any, where: str) -> None:
        super().__init__(env)
        self._where = where
        self._episode, self._step = -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[NDArray[Any], dict[str, Any]]:
        self._episode, self._step = self._episode + 1, 0
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except Exception as error:
            raise self._failure(error) from error
        return self._observation(observation), info

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        self._step += 1
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
        except Exception as error:
            raise self._failure(error) from error
        observed, rewarded = self._observation(observation), self._single("reward", reward)
        return observed, rewarded, bool(self._single("flag", terminated)), bool(self._single("flag", truncated)), info

    def _observation(self, observation: Any) -> NDArray[Any]:
        try:
            copy = np.array(observation, None if isinstance(observation, np.ndarray) else np.float64)
        except (TypeError, ValueError):
            raise self._refusal(f"gave a {type(observation).__name__} as observation, not an array of numbers") from None
        expected = self.observation_space.shape
        if copy.shape != expected or copy.dtype.kind not in "fiub":
            raise self._refusal(f"gave an observation of shape {copy.shape} and type {copy.dtype}, not {expected} numbers")
        if not np.isfinite(copy).all():
            component = int(np.flatnonzero(~np.isfinite(copy))[0])
            raise self._refusal(f"gave an observation whose component {component} is {copy.flat[component]}")
        return copy

    def _single(self, name: str, value: Any) -> float:
        try:
            number = float(np.asarray(value, np.float64).reshape(()))
        except (TypeError, ValueError):
            raise self._refusal(f"gave a {name} that is not one number ({str(value)[:40]})") from None
        if not np.isfinite(number):
            raise self._refusal(f"gave the {name} {value}")
        return number

    def _failure(self, error: Exception) -> SimulatorError:
        reason = " ".join(str(error).split())[:200]
        return self._refusal(f"failed ({type(error).__name__}{': ' + reason if reason else ''})")

    def _refusal(self, what: str) -> SimulatorError:
        moment = f"step {self._step}" if self._step else "its reset"
        return SimulatorError(
            f"{self._where}: the environment {what} in episode {max(self._episode, 0)}, {moment}: "
            "mend the environment, then run the same command again"
        )
