"""The failure signs of the method, read off a relabel report: a poor encoder, a wrong look-ahead, a wrong τ, unsolved problems.

Each message names the cause and the setting to change. What the signs cannot tell: an encoder may follow time well and still
confuse states that matter, and a look-ahead of 0 is only seen where it lets couplings run backwards.
"""

from ailot_ray.config import Config
from ailot_ray.records import RelabelReport

HORIZONS = (10, 50)
"""Steps within which time-isometry is measured."""
MAX_DEGENERATE_SHARE = 0.5
"""Share of collapsed or saturated rewards above which there is a warning."""
MAX_LOOK_AHEAD_DISTANCE = 0.9
"""Look-ahead distance above which k is beyond a trajectory's memory."""
MIN_COHERENCE = 0.1
"""Rank correlation in time below which a coupling says nothing of time."""
MIN_TRAINING_GAIN = 0.01
"""What training must add to the time-isometry of an encoder to count."""

MIN_PACE = 0.5
"""Share of the data's own pace below which the value of the intents counts as not learned."""


def relabel_warnings(config: Config, uses_intents: bool, report: RelabelReport) -> list[str]:
    """Warnings about a report (`ailot_ray.pipeline.relabel`) of a resolved `config`."""
    encoder = _encoder(config, report.isometry) if uses_intents else []
    if report.value and report.value.reached > MIN_PACE * report.value.pace:
        encoder.append(
            f"the intents' value has come to {report.value.reached:.1f} of the {report.value.pace:.1f} of the data's own pace: "
            f"states many steps apart are not told apart yet; train the intents longer with --icvf.steps ({config.icvf.steps})"
        )
    return [*_reward(config, report), *_solves(config, report), *encoder, *_look_ahead(config, report, bool(encoder))]


def _reward(config: Config, report: RelabelReport) -> list[str]:
    remedy = ", or set --reward.scale median" if config.reward.scale == "none" else ""
    found = []
    if report.collapse_share > MAX_DEGENERATE_SHARE:
        found.append(
            f"{report.collapse_share:.0%} of the rewards are near 0 (collapse): lower --reward.tau ({config.reward.tau:g})"
            + remedy
        )
    if report.saturation_share > MAX_DEGENERATE_SHARE:
        found.append(
            f"{report.saturation_share:.0%} of the rewards are near alpha (saturation): raise --reward.tau "
            f"({config.reward.tau:g})" + remedy
        )
    return found


def _solves(config: Config, report: RelabelReport) -> list[str]:
    if not report.unconverged or not report.marginal_error:
        return []
    return [
        f"{report.unconverged} of {report.solves} solves did not reach a marginal error of "
        f"{config.transport.tolerance:g} (worst {report.marginal_error.worst:.2g}): raise --transport.max-iterations "
        f"({config.transport.max_iterations}) or --transport.epsilon ({config.transport.epsilon:g})"
    ]


def _encoder(config: Config, isometry: dict[str, dict[str, float | None]]) -> list[str]:
    intents, raw, untrained = (isometry[space] for space in ("intent", "raw", "untrained"))
    steps = config.icvf.steps
    if any(intents[h] is None and raw[h] is not None for h in intents):
        return [
            "all intents are alike (a collapsed encoder): train others, with another --icvf.learning-rate or "
            f"--icvf.steps ({steps})"
        ]
    known = [h for h in intents if intents[h] is not None]
    behind = [h for h in known if (intents[h] or 0.0) < (raw[h] or 0.0)]
    if behind:
        return [
            f"within {' and '.join(behind)} steps, distances of intents follow time less well than distances of raw states "
            f"do ({_pairs(intents, raw, behind)}; a poor encoder): train the intents longer with --icvf.steps ({steps})"
        ]
    if steps == 0:
        return ["the intents are untrained, whatever their distances: set --icvf.steps (0)"]
    if known and all((intents[h] or 0.0) < (untrained[h] or 0.0) + MIN_TRAINING_GAIN for h in known):
        return [
            "distances of intents follow time no better than those of an untrained encoder do "
            f"({_pairs(intents, untrained, known)}; a poor encoder, or motion that repeats itself): train the intents longer "
            f"with --icvf.steps ({steps})"
        ]
    return []


def _pairs(ours: dict[str, float | None], theirs: dict[str, float | None], horizons: list[str]) -> str:
    return ", ".join(f"{ours[h] or 0.0:.2f} against {theirs[h] or 0.0:.2f}" for h in horizons)


def _look_ahead(config: Config, report: RelabelReport, poor_encoder: bool) -> list[str]:
    k, found = config.transport.k or 0, []
    if report.short_trajectories:
        found.append(
            f"{report.short_trajectories} trajectories are no longer than --transport.k {k}: their look-ahead is their "
            "last state"
        )
    distance = report.look_ahead_distance
    if distance is not None and distance > MAX_LOOK_AHEAD_DISTANCE:
        found.append(
            f"a state {k} steps ahead is as far away as any other of its trajectory ({distance:.2f} of their mean squared "
            f"distance): lower --transport.k ({k})"
        )
    coherence = report.coherence
    if coherence is not None and coherence.correlation is not None and coherence.correlation < MIN_COHERENCE:
        cause = (
            "the encoder above comes first"
            if poor_encoder
            else "look ahead, with --transport.k 2 in place of 0"
            if k == 0
            else f"compare --transport.k ({k}) with a smaller one"
        )
        if not poor_encoder:
            cause += ", or take an expert whose motion the data have (--expert)"
        found.append(
            f"couplings do not keep the order of time (rank correlation {coherence.correlation:.2f}, "
            f"{coherence.backward:.0%} of the steps go back): {cause}; where motion repeats itself it cannot be otherwise"
        )
    return found
