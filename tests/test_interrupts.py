"""Signals reach whoever can stop: the innermost block, and the one around it when the inner one has ended."""

import os
import signal

import pytest

from cogneuro_sae.interrupts import Interrupted, Interrupts


def test_a_signal_in_the_last_phase_of_an_inner_block_stops_the_outer_one():
    with Interrupts() as outer:
        with Interrupts() as inner:
            os.kill(os.getpid(), signal.SIGTERM)
            assert inner.requested == "SIGTERM" and outer.requested is None
        assert outer.requested == "SIGTERM"
        with pytest.raises(Interrupted, match="work"):
            outer.check("work")


def test_a_block_without_a_signal_leaves_the_outer_one_alone():
    with Interrupts() as outer:
        with Interrupts():
            pass
        assert outer.requested is None
