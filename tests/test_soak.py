"""A short soak; `python tests/soak.py 200` is the long one."""

from soak import soak


def test_runs_killed_at_random_moments_lose_nothing():
    assert soak(2, seed=7, most=2) >= 2
