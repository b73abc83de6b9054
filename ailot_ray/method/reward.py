"""From per-step costs to rewards (docs/method.md §3):   r_i = α · exp(−τ · c_i / s),   then the domain's rescaling."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ailot_ray.config import RewardConfig
from ailot_ray.errors import ConfigError


@dataclass(frozen=True)
class Rewards:
    """Rewards of N transitions. `squashed` is α·exp(−τ·c/s) of the chosen expert, `final` what the learner gets."""

    final: NDArray[np.float32]
    squashed: NDArray[np.float64]
    scale: float
    """s"""
    chosen: NDArray[np.int64]
    """The expert taken for each trajectory, (E,)."""


def rewards_from_costs(costs: NDArray[np.float64], offsets: NDArray[np.int64], config: RewardConfig) -> Rewards:
    """Turn costs (K, N) of K experts into rewards; each trajectory takes the expert that gives it the largest return.

    Raises ConfigError where the rewards cannot be rescaled, because all trajectories have the same return,
    and where they are too large for single precision.
    """
    assert config.alpha is not None and config.tau is not None
    scale = float(np.median(costs)) if config.scale == "median" else 1.0
    squashed = config.alpha * np.exp(-config.tau * costs / (scale if scale > 0 else 1.0))
    totals = np.add.reduceat(squashed, offsets[:-1], axis=1)
    chosen = totals.argmax(0)
    taken = np.repeat(chosen, np.diff(offsets))
    best = squashed[taken, np.arange(costs.shape[1])]
    return Rewards(rescale(best, offsets, config), best, scale, chosen)


def shuffle_rewards(
    rewards: NDArray[np.floating], offsets: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.floating]:
    """Give every trajectory another one's rewards (N,), stretched: step i of n takes its step ⌊i·m/n⌋ of m.

    No trajectory keeps its own where there are two or more.
    """
    number, lengths = len(offsets) - 1, np.diff(offsets)
    order = generator.permutation(number)
    other = np.empty(number, np.int64)
    other[order] = np.roll(order, 1)  # one cycle through all
    steps = np.arange(len(rewards)) - np.repeat(offsets[:-1], lengths)
    ours, theirs = np.repeat(lengths, lengths), np.repeat(lengths[other], lengths)
    taken: NDArray[np.floating] = rewards[np.repeat(offsets[other], lengths) + steps * theirs // ours]
    return taken


def rescale(rewards: NDArray[np.floating], offsets: NDArray[np.int64], config: RewardConfig) -> NDArray[np.float32]:
    """Multiply by 1000 / (largest − smallest trajectory return) if configured, then add the shift (OTR's and IQL's rule)."""
    factor = 1.0
    if config.rescale:
        returns = np.add.reduceat(rewards.astype(np.float64), offsets[:-1])
        spread = float(returns.max() - returns.min())
        if spread <= 1e-8 * max(1.0, float(np.abs(returns).max())):
            cause = (
                "mark in `timeouts` where the data's episodes end, which are one trajectory now"
                if len(returns) == 1
                else "lower --reward.tau, since all rewards have collapsed to 0"
                if not returns.any()
                else "set --reward.rescale False"
            )
            raise ConfigError(f"--reward.rescale divides by the spread of the trajectories' returns, which is 0 here: {cause}")
        factor = 1000.0 / spread
    with np.errstate(over="ignore"):
        final = np.asarray(rewards * factor + (config.shift or 0.0), np.float32)
    if not np.isfinite(final).all():
        raise ConfigError(f"rewards go beyond float32 (largest {np.abs(rewards).max() * factor:.3g}): lower --reward.alpha")
    return final
