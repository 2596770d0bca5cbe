"""What is kept of an answer."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.planning.evaluation import as_recorded, chosen_accelerators, offers_deployment
from tests.planning.example import CHECK, DOES_NOT_FIT, FITS, SIZE, SIZED


@given(st.floats(-1e300, 1e300, allow_subnormal=False))
def test_a_recorded_number_keeps_ten_digits(number):
    assert math.isclose(as_recorded(number), number, rel_tol=1e-9)
    assert as_recorded(as_recorded(number)) == as_recorded(number)


@pytest.mark.parametrize(
    ("number", "kind"), [(np.float64(0.1), float), (np.int64(8), int), (np.bool_(True), bool), (8, int)]
)
def test_numbers_are_recorded_as_plain_python_numbers(number, kind):
    assert type(as_recorded(number)) is kind
    assert as_recorded(number) == number


def test_a_check_stands_for_the_accelerator_that_it_names():
    assert chosen_accelerators(CHECK, FITS) == ("h200-sxm",)


def test_a_sizing_stands_for_the_accelerators_that_it_names():
    asked = replace(SIZE, accelerators=("h20-96", "a100-80", "h20-96"))
    assert chosen_accelerators(asked, SIZED) == ("a100-80", "h20-96")


def test_a_sizing_over_the_whole_catalog_stands_for_what_is_ranked_first():
    assert chosen_accelerators(SIZE, SIZED) == ("h200-sxm",)


def test_a_sizing_that_found_nothing_stands_for_nothing():
    assert chosen_accelerators(SIZE, replace(SIZED, candidates=())) == ()


def test_what_fits_can_be_deployed_and_what_does_not_fit_cannot():
    assert offers_deployment(FITS)
    assert not offers_deployment(DOES_NOT_FIT)
