"""Which goals ICVF learns from (docs/method.md §1): the current state, a later state of the trajectory, or any state."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ailot_ray.config import ICVFConfig

PACE_BATCHES = 400
"""Batches over which the data's own pace is averaged."""


@dataclass(frozen=True)
class Batch:
    """States s and s', outcomes g, goals z, in two buffers that every batch fills anew."""

    successor_and_state: Tensor
    """(M, 2B, o)"""
    outcome_and_goal: Tensor
    """(M, 2B, o)"""
    before_outcome: Tensor
    """(M, B), 0 where s is g and 1 elsewhere."""
    before_goal: Tensor
    """(M, B), 0 where s is z and 1 elsewhere."""

    @property
    def state(self) -> Tensor:
        """(M, B, o)"""
        return self.successor_and_state[:, self.before_goal.shape[1] :]

    @property
    def successor(self) -> Tensor:
        """(M, B, o)"""
        return self.successor_and_state[:, : self.before_goal.shape[1]]

    @property
    def outcome(self) -> Tensor:
        """(M, B, o)"""
        return self.outcome_and_goal[:, : self.before_goal.shape[1]]

    @property
    def goal(self) -> Tensor:
        """(M, B, o)"""
        return self.outcome_and_goal[:, self.before_goal.shape[1] :]


@dataclass(frozen=True)
class Draws:
    """Rows of the dataset for a run of steps: the state, its outcome g and its goal z, each (steps, M, B)."""

    state: Tensor
    outcome: Tensor
    goal: Tensor

    def __getitem__(self, step: int) -> "Draws":
        return Draws(self.state[step], self.outcome[step], self.goal[step])


class GoalSampler:
    """States of a dataset, resident on the learner's device, and the draws of (s, s', g, z).

    All random numbers come from the members' CPU generators, so that CPU and GPU see the same samples.
    """

    def __init__(self, states: Tensor, successors: Tensor, offsets: Tensor, usable: Tensor) -> None:
        """states, successors (N, o); offsets (E + 1,) as in Dataset; usable (N,): rows whose successor is known."""
        self.states, self.successors = states, successors
        lengths = offsets.diff()
        self.last = (offsets[1:] - 1).repeat_interleave(lengths)
        """Last row of each row's trajectory, (N,), on the CPU."""
        self.rows = usable.nonzero()[:, 0]

    def draw(self, steps: int, config: ICVFConfig, generators: Sequence[torch.Generator]) -> Draws:
        drawn = [self._draw_member(steps, config, generator) for generator in generators]
        device = self.states.device
        return Draws(*(torch.stack(column, 1).to(device) for column in zip(*drawn, strict=True)))

    def _draw_member(self, steps: int, config: ICVFConfig, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        shape = (steps, config.batch_size)
        state = self.rows[torch.randint(len(self.rows), shape, generator=generator)]
        goal = self._draw_goals(state, config, generator)
        other = self._draw_goals(state, config, generator)
        same = torch.rand(shape, generator=generator) < config.goal_same
        return state, torch.where(same, goal, other), goal

    def _draw_goals(self, state: Tensor, config: ICVFConfig, generator: torch.Generator) -> Tensor:
        """Rows of goals for rows of states: itself, uniform over the later rows of its trajectory, or uniform over all."""
        kind = torch.rand(state.shape, generator=generator)
        anywhere = torch.randint(len(self.states), state.shape, generator=generator)
        last = self.last[state]
        first = torch.minimum(state + 1, last)
        span = last - first + 1
        # double precision: in single the product could round up to the span itself
        later = first + (torch.rand(state.shape, generator=generator, dtype=torch.float64) * span).long()
        goal = torch.where(kind < config.goal_current + config.goal_trajectory, later, anywhere)
        return torch.where(kind < config.goal_current, state, goal)

    def pace(self, config: ICVFConfig, generator: torch.Generator) -> float:
        """E −(1 − γ^d) / (1 − γ) over drawn states and outcomes, d the steps between them in the data: the value V(s, g, z) of
        whoever goes at the data's own pace. An outcome that does not lie ahead on the trajectory counts as never reached.
        """
        state, outcome, _ = self._draw_member(PACE_BATCHES, config, generator)
        ahead = (outcome >= state) & (outcome <= self.last[state])
        missing = torch.where(ahead, config.discount ** (outcome - state).double(), 0.0)
        return -float((1.0 - missing).mean()) / (1.0 - config.discount)

    def buffers(self, members: int, batch_size: int) -> Batch:
        """Room for `gather`."""
        states, size = self.states, self.states.shape[-1]
        pair = [states.new_empty(members, 2 * batch_size, size) for _ in range(2)]
        return Batch(*pair, *(states.new_empty(members, batch_size) for _ in range(2)))

    def gather(self, draws: Draws, into: Batch) -> None:
        """Look the rows of one step up."""
        n = draws.state.shape[-1]
        into.successor_and_state[:, :n] = self.successors[draws.state]
        into.successor_and_state[:, n:] = self.states[draws.state]
        both = torch.cat([draws.outcome, draws.goal], -1)
        torch.index_select(self.states, 0, both.view(-1), out=into.outcome_and_goal.view(-1, self.states.shape[-1]))
        into.before_outcome.copy_(draws.state != draws.outcome)
        into.before_goal.copy_(draws.state != draws.goal)
