import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ailot_ray.data.cutting import ANT_STEP, cut, horizon_ends, position_jumps, successor_jumps

flag_rows = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(flag_rows, st.booleans())
def test_any_flags_conserve_transitions_and_never_join_episodes(flags: list[tuple[bool, bool, bool]], stored: bool) -> None:
    terminals, timeouts, jumps = np.array(flags, np.bool_).T.copy()
    jumps[-1] = False
    pieces = cut(terminals, timeouts, jumps, stored=np.full(len(flags), stored))

    # A plain walk over the rows is the oracle: the episodes of the file, then what of each may be kept.
    expected: list[tuple[list[int], str]] = []
    episode: list[int] = []
    dropped = 0
    for row, (terminal, timeout, jump) in enumerate(zip(terminals, timeouts, jumps, strict=True)):
        episode.append(row)
        if terminal or timeout or jump or row == len(flags) - 1:
            end = "terminal" if terminal else "timeout" if timeout else "gap" if jump else "file"
            if not stored and end != "terminal":
                episode.pop()
                dropped += 1
            if episode:
                expected.append((episode, end))
            episode = []

    found = [pieces.rows[start:stop].tolist() for start, stop in zip(pieces.offsets[:-1], pieces.offsets[1:], strict=True)]
    assert found == [rows for rows, _ in expected]
    assert list(pieces.ends) == [end for _, end in expected]
    assert len(pieces.rows) + dropped == len(flags)
    assert pieces.offsets[0] == 0 and pieces.offsets[-1] == len(pieces.rows)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 8))
def test_no_episode_outlasts_its_horizon(ended: list[bool], horizon: int) -> None:
    found, length = horizon_ends(np.array(ended), horizon), 0
    for row, own in enumerate(ended):
        length += 1
        assert found[row] == (length == horizon and not own)
        length = 0 if own or found[row] else length


def test_terminal_outranks_timeout_outranks_jump() -> None:
    yes, no = np.array([True, True]), np.array([False, False])
    assert cut(yes, yes, no, stored=yes).ends == ("terminal", "terminal")
    assert cut(no, yes, np.array([True, False]), stored=yes).ends == ("timeout", "timeout")
    assert cut(no, no, np.array([True, False]), stored=yes).ends == ("gap", "file")


def test_successor_jump_ignores_rounding_and_sees_one_component() -> None:
    rng = np.random.default_rng(0)
    states = rng.normal(scale=30.0, size=(50, 4)).astype(np.float32)
    rounded = np.nextafter(states, np.float32(np.inf))
    assert not successor_jumps(states[:-1], rounded[1:]).any()
    rounded[20, 3] += 0.01
    assert np.flatnonzero(successor_jumps(states[:-1], rounded[1:])).tolist() == [19]


def test_position_jump_looks_at_xy_only() -> None:
    states = np.zeros((5, 29), np.float32)
    states[:, 2:] = np.arange(5)[:, None] * 100
    states[3:, :2] = 0.6 * ANT_STEP  # one diagonal step of 0.85 bounds
    assert not position_jumps(states).any()
    states[4, :2] = 2 * ANT_STEP
    assert np.flatnonzero(position_jumps(states)).tolist() == [3]
