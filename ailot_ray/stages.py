"""Table 2: stages. What each makes, from what, how its artefact's key is made, and what it costs. No torch, no Ray.

    verb       artefact      from                 its key holds, beside the parent's digest
    pretrain   intents       the dataset          data, icvf, seed
    align      alignment     intents, or states   data, experts, transport
    relabel    rewards       alignment, or data   data, reward
    train      policies      rewards, or data     data, learner, iql, seed
    evaluate   scores        policies             task, method, evaluation
    diagnose   diagnostics   rewards

A key holds everything that the artefact depends on, and nothing else: no path, no machine. `version` stands in it too: raise
it whenever a stage's code changes what the same settings lead to, so that no older artefact is taken for a new one
(``tests/test_golden.py`` fails where that was forgotten).
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from ailot_ray.config import Config, PlayedPhysics
from ailot_ray.methods import Method, get_method
from ailot_ray.store import Key, digest_of
from ailot_ray.tasks import Task

Verb = Literal["pretrain", "align", "relabel", "train", "evaluate", "diagnose"]


@dataclass(frozen=True)
class Facts:
    """What keys are made of: a resolved configuration and what is known of its data."""

    config: Config
    task: Task
    data: str
    """SHA-256 of the dataset's file, in hexadecimal."""
    official: bool
    """Whether the dataset is the task's own, so that scores compare with published ones."""
    trajectories: int
    experts: tuple[str, ...]
    """SHA-256 of each expert's states; empty for a method without an alignment."""

    @property
    def method(self) -> Method:
        return get_method(self.config.method)

    @property
    def uses_intents(self) -> bool:
        """Whether the alignment compares intents, which depend on a seed."""
        return self.method.aligned and self.config.transport.space == "intent"

    @functools.cached_property
    def _paths(self) -> "dict[str, list[tuple[Stage, Key]]]":
        return {}

    def path(self, verb: str) -> "list[tuple[Stage, Key]]":
        """The stages that a verb takes, each with what its key holds of these facts: of all seeds the same."""
        if verb not in self._paths:
            self._paths[verb] = [(stage, stage.own(self)) for stage in path_to(verb, self)]
        return self._paths[verb]

    @property
    def physics(self) -> PlayedPhysics:
        """The physics that policies are played in."""
        evaluation = self.config.evaluation
        if evaluation.physics != "auto":
            return evaluation.physics
        recorded = self.official and self.task.of_d4rl
        return "d4rl" if recorded or evaluation.simulator == "d4rl" else "mujoco"

    def data_key(self) -> Key:
        key: Key = {"file": self.data, "domain": self.task.domain}
        if self.task.domain == "ogbench":  # one file serves several tasks, whose rewards are not in it
            key["task"] = self.task.environment
        if self.task.action_low is not None:  # what the file's actions are in ±1
            key["actions"] = [self.task.action_low, self.task.action_high]
        return key

    def section(self, name: str) -> Key:
        """The settings of a section that the method reads."""
        prefixes = self.method.paths_read(self.config.transport.space)
        settings = vars(getattr(self.config, name))  # a section's fields hold no dataclass
        return {setting: value for setting, value in settings.items() if f"{name}.{setting}".startswith(prefixes)}


@dataclass(frozen=True)
class Stage:
    """One step from data to scores."""

    verb: Verb
    artefact: str
    """Kind of its artefact: the folder of a store that holds it."""
    plural: str
    """What several runs of it are called in a plan."""
    doing: str
    """What a trial is at while it is made."""
    version: int
    needs: tuple[str, ...]
    """Kinds of the artefacts it is made from, where the method has them."""
    own: Callable[[Facts], Key]
    """What its key holds beside the version, its parents' digests and the seed."""
    seconds: float
    """Seconds a unit of `amount` takes on one core of a small server: a plan's guess until the store has measured one."""
    applies: Callable[[Facts], bool] = lambda facts: True
    seeded: bool = False
    """Whether the seed stands in its own key; otherwise it depends on the seed through its parents alone."""
    amount: Callable[[Facts], int] = lambda facts: 1
    """What its time grows with: gradient steps, or solves."""

    def key(self, own: Key, seed: int, parents: Mapping[str, str]) -> Key:
        """The key of its artefact; `parents` are the digests of the artefacts that it is made from, by kind."""
        key = {"version": self.version, **own, **{kind: parents.get(kind) for kind in self.needs}}
        return key | ({"seed": seed} if self.seeded else {})


def _rewards(facts: Facts) -> Key:
    shuffled = {"shuffled": True} if facts.method.rewards == "shuffled" else {}
    return {"data": facts.data_key(), "reward": facts.section("reward"), **shuffled}


D4RL_PHYSICS = 2
"""Version of what `envs/bodies.py` and `envs/contacts.py` make of D4RL's physics; the first knew no contacts with boxes."""
_NO_PART_OF_A_SCORE = ("data", "parts", "references")
"""Fields of a task on which no score depends, or not beside the rest."""


def _scores(facts: Facts) -> Key:
    about: Key = {"task": facts.task.name, "method": facts.method.name, "official": facts.official}
    if facts.task.domain == "custom":  # unlike the table's, its definition may change from day to day
        about["definition"] = {name: value for name, value in asdict(facts.task).items() if name not in _NO_PART_OF_A_SCORE}
    evaluation = asdict(facts.config.evaluation)
    del evaluation["physics"]
    if facts.physics == "d4rl" and facts.config.evaluation.simulator != "d4rl":  # no key from before there was a choice has it
        evaluation["physics"] = f"d4rl {D4RL_PHYSICS}"
    return about | {"evaluation": evaluation}


STAGES: tuple[Stage, ...] = (
    Stage(
        "pretrain",
        "intents",
        "pretrainings",
        "pretraining intents",
        version=3,
        needs=(),
        own=lambda facts: {"data": facts.data_key(), "icvf": facts.section("icvf")},
        seconds=0.033,
        applies=lambda facts: facts.uses_intents,
        seeded=True,
        amount=lambda facts: facts.config.icvf.steps,
    ),
    Stage(
        "align",
        "alignment",
        "alignments",
        "aligning",
        version=1,
        needs=("intents",),
        own=lambda facts: {
            "data": facts.data_key(),
            "experts": list(facts.experts),
            "transport": facts.section("transport"),
        },
        seconds=0.2,
        applies=lambda facts: facts.method.aligned,
        amount=lambda facts: facts.trajectories * len(facts.experts),
    ),
    Stage(
        "relabel",
        "rewards",
        "relabellings",
        "relabelling",
        version=1,
        needs=("alignment",),
        own=_rewards,
        seconds=1.0,
        applies=lambda facts: facts.method.rewarded,
    ),
    Stage(
        "train",
        "policies",
        "trainings",
        "training",
        version=1,
        needs=("rewards",),
        own=lambda facts: {"data": facts.data_key(), "learner": facts.method.learner, "iql": facts.section("iql")},
        seconds=0.008,
        seeded=True,
        amount=lambda facts: facts.config.iql.steps,
    ),
    Stage("evaluate", "scores", "evaluations", "evaluating", version=1, needs=("policies",), own=_scores, seconds=20.0),
    Stage(
        "diagnose",
        "diagnostics",
        "diagnoses",
        "drawing diagnostics",
        version=1,
        needs=("rewards",),
        own=lambda facts: {},
        seconds=10.0,
        applies=lambda facts: facts.method.aligned,
    ),
)
"""Every stage, in an order in which each comes after what it needs."""

_BY_VERB: dict[str, Stage] = {stage.verb: stage for stage in STAGES}
_BY_ARTEFACT = {stage.artefact: stage for stage in STAGES}


def get_stage(verb: str) -> Stage:
    """The stage of that verb."""
    return _BY_VERB[verb]


def path_to(verb: str, facts: Facts) -> list[Stage]:
    """The stages that a verb takes for one configuration, the verb's own last."""
    stage = get_stage(verb)
    before = [ahead for kind in stage.needs for ahead in path_to(_BY_ARTEFACT[kind].verb, facts)]
    return [*before, stage] if stage.applies(facts) else before


def keys_to(verb: str, facts: Facts, seed: int) -> dict[str, Key]:
    """The keys of every artefact that a verb needs for one seed, by kind, in the order in which they are made.

    >>> list(keys_to("evaluate", facts, seed=0))  # of behaviour cloning
    ['policies', 'scores']
    """
    return digests_to(verb, facts, seed)[0]


def digests_to(verb: str, facts: Facts, seed: int) -> tuple[dict[str, Key], dict[str, str]]:
    """The keys that `keys_to` gives, and their digests."""
    keys: dict[str, Key] = {}
    digests: dict[str, str] = {}
    for stage, own in facts.path(verb):
        keys[stage.artefact] = stage.key(own, seed, digests)
        digests[stage.artefact] = digest_of(stage.artefact, keys[stage.artefact])
    return keys, digests
