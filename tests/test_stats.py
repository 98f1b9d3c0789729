"""Wilson's interval, against scipy's."""

import pytest
from scipy.stats import binomtest

from noodle_tui.stats import accuracy_in_words, interval_in_words, share_in_words, wilson_interval


@pytest.mark.parametrize(("correct", "count"), [(0, 1), (1, 1), (23, 24), (0, 24), (24, 24), (12, 24), (999, 1000),
                                               (5, 100_000)])
def test_wilson_is_scipys(correct, count):
    expected = binomtest(correct, count).proportion_ci(0.95, "wilson")
    assert wilson_interval(correct, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_rounding_leads_out_of_no_interval():
    assert wilson_interval(11, 11)[1] == 1 and wilson_interval(0, 21)[0] == 0  # plainly computed, beyond by 1e-16


def test_nothing_counted_is_nothing_known():
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.parametrize(("share", "words"), [
    (1.0, "1.000"), (0.9997, "0.999"), (0.0003, "0.001"), (0.0, "0.000"), (0.9584, "0.958"),
])
def test_only_all_is_one_and_only_none_is_nought(share, words):
    assert share_in_words(share) == words


def test_words():
    assert accuracy_in_words(23, 24) == "0.958 (23/24, 95% interval 0.80 to 0.99)"
    assert accuracy_in_words(19_990, 20_000).startswith("0.999 (")
    assert accuracy_in_words(0, 0) == "0.000 (0/0, 95% interval 0.00 to 1.00)"


@pytest.mark.parametrize(("interval", "words"), [
    ((0.7976, 0.9926), "0.80 to 0.99"), ((0.90, 0.96), "0.90 to 0.96"), ((0.90, 0.94), "0.900 to 0.940"),
    ((0.9011, 0.9048), "0.901 to 0.905"), ((0.9996, 0.99999), "0.999 to 1.000"), ((1e-5, 3e-4), "0.000 to 0.001"),
    ((0.9998, 1.0), "0.999 to 1.000"), ((1.0, 1.0), "1.000 to 1.000"), ((0.0, 0.0), "0.000 to 0.000"),
])
def test_a_narrow_interval_has_a_digit_more(interval, words):
    assert interval_in_words(interval) == words


def test_where_it_matters_a_wide_one_has_it_too():
    assert interval_in_words((0.79766, 0.9926), fine=True) == "0.798 to 0.993"
