"""What every learner promises of a run that was interrupted."""

import torch

from ailot_ray.method.learner import Learner


def assert_goes_on_to_the_same_bytes(undisturbed: Learner, resumed: Learner) -> None:
    """That the state of one, put into the other after it has gone another way, takes it where the first one goes."""
    undisturbed.advance(5)
    state = {name: value.clone() for name, value in undisturbed.state().items()}
    resumed.advance(2)  # must leave no trace
    resumed.restore(state)
    assert resumed.step == 5
    metrics, again = undisturbed.advance(9), resumed.advance(9)
    assert all(torch.equal(metrics[name], again[name]) for name in metrics)
    ours, theirs = undisturbed.state(), resumed.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert int(theirs["step"]) == 14
