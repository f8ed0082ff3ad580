"""The causal test on planted models: one that reads the angle, one that carries it and reads something else."""

from dataclasses import replace

import numpy as np
import pytest

from todacomm.circles.causal_test import (
    Answers,
    Curve,
    Phases,
    curve_through,
    design,
    moved_exactly,
    p_values,
    permuted,
    phases_of,
    placebos,
    subspace,
    swaps,
    turn,
    turns_of,
)
from todacomm.core.errors import InvalidInput

N, D = 12, 20
ANGLES = 2 * np.pi * np.arange(N) / N


class Planted:
    """States with a circle, and an answer that is read from it (or from a code of the word elsewhere)."""

    def __init__(self, rng, *, reads: str, backwards: bool = False):
        basis = np.linalg.qr(rng.normal(size=(D, D)))[0]
        self.plane, self.code = basis[:2], basis[2:14]
        self.states = 3 * self.circle(ANGLES) @ self.plane + 2 * np.eye(N) @ self.code + 5 * basis[14]
        self.reads, self.sign = reads, -1 if backwards else 1

    @staticmethod
    def circle(angles):
        return np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    def answer(self, added):
        states = self.states + added
        if self.reads == "code":
            return 5 * np.roll(states @ self.code.T, 1, axis=-1)
        seen = states @ self.plane.T
        towards = self.circle(self.sign * (ANGLES - 2 * np.pi / N))
        return 2 * seen @ towards.T

    def turned(self, *, draws=39):
        right = (self.sign * np.arange(N) + 1) % N
        return turn(
            self.states,
            ANGLES,
            Answers(self.answer, ANGLES, right),
            own=self.states,
            steps=N,
            draws=draws,
            rng=np.random.default_rng(0),
        )


def test_a_loop_that_the_model_reads_is_used():
    found = Planted(np.random.default_rng(0), reads="circle").turned()
    assert found.slope == pytest.approx(1, abs=0.02)
    assert found.alignment > 0.98
    assert found.ceiling > 0.98
    assert found.moved == 1
    assert found.accuracy == 1
    verdict, why = found.verdict(p_values({"layer_0": found})["layer_0"])
    assert verdict == "used"
    assert "p = 0.025" in why


def test_a_loop_that_the_model_carries_but_does_not_read_is_not_used():
    found = Planted(np.random.default_rng(1), reads="code").turned()
    assert abs(found.slope) < 0.4
    assert found.ceiling > 0.95
    verdict, why = found.verdict(p_values({"layer_0": found})["layer_0"])
    assert verdict == "represented, not used"
    assert "do not turn with the angle" in why


def test_answers_may_run_against_the_angle():
    found = Planted(np.random.default_rng(2), reads="circle", backwards=True).turned()
    assert found.direction == -1
    assert found.slope == pytest.approx(-1, abs=0.02)
    assert found.moved == 1


def test_what_is_not_decidable_says_why():
    found = Planted(np.random.default_rng(3), reads="circle").turned(draws=19)
    assert found.verdict(0.5)[0] == "represented, not used"
    low = replace(found, ceiling=0.3)
    assert low.verdict(0.05) == (
        "not decidable",
        "even the full swap of states turns the answers by 0.30 only; expected 0.5",
    )
    wrong = replace(found, accuracy=0.4)
    assert wrong.verdict(0.05)[1].startswith("the model answers 40%")
    weak = replace(found, alignment=0.3, swap=0.9)
    assert weak.verdict(0.05)[0] == "not decidable"


def test_the_p_value_is_of_the_largest_placebo_of_all_layers():
    model = Planted(np.random.default_rng(4), reads="circle").turned(draws=19)
    other = replace(model, placebos=(2.0,) * 19)
    assert p_values({"a": model})["a"] == 0.05
    assert p_values({"a": model, "b": other})["a"] == 1


def test_a_curve_has_the_harmonics_that_its_states_have():
    rng = np.random.default_rng(5)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 40))
    true = Curve(rng.normal(size=(5, D)))
    states = true.at(angles) + 0.01 * rng.normal(size=(40, D))
    found = curve_through(states, angles)
    assert found.harmonics == 2
    assert found.at(angles) == pytest.approx(true.at(angles), abs=0.05)
    assert found.turned(angles, 2 * np.pi) == pytest.approx(np.zeros((40, D)), abs=1e-9)
    assert design(angles, 2).shape == (40, 5)


def test_an_angle_that_hardly_varies_is_refused():
    with pytest.raises(InvalidInput, match="expected 5 or more different angles"):
        curve_through(np.zeros((20, 3)), np.repeat([0.0, 1.0], 10))


def test_placebos_are_as_long_as_the_turns_and_stay_among_the_states():
    states = Planted(np.random.default_rng(6), reads="circle").states
    curve = curve_through(states, ANGLES)
    by = turns_of(5)
    lengths = np.stack([np.linalg.norm(curve.turned(ANGLES, turn), axis=1) for turn in by])
    basis = subspace(states)
    for given in placebos(curve, states, ANGLES, by, 6, rng=np.random.default_rng(0)):
        assert np.linalg.norm(given, axis=-1) == pytest.approx(lengths)
        assert given @ basis.T @ basis == pytest.approx(given)


def test_a_permuted_order_is_no_rotation_and_no_reflection():
    rng = np.random.default_rng(7)
    for _ in range(200):
        steps = np.diff(np.append(order := permuted(5, rng), order[0])) % 5
        assert len(set(steps.tolist())) > 1


def test_alignment_is_0_for_answers_that_stand_still_and_1_for_those_that_turn():
    by = np.array(turns_of(8))
    still, turning = (Phases(by, np.exp(1j * np.outer(g * by, np.ones(3)))) for g in (0, 1))
    assert still.alignment() == pytest.approx(0, abs=1e-12)
    assert turning.alignment() == pytest.approx(1)
    assert (still.slope, turning.slope) == (0, pytest.approx(1))


def test_phases_are_read_from_the_mean_place_of_the_options():
    scores = np.log(np.eye(4)[[0, 1]][:, None] + 1e-9)  # the answer moves by one of four options
    found = phases_of(scores, 2 * np.pi * np.arange(4) / 4, [0, np.pi / 2])
    assert found.mean == pytest.approx([0, np.pi / 2])
    assert moved_exactly(scores, [0, 1]) == 1
    assert moved_exactly(scores, [0, 2]) == 0


def test_a_swap_brings_the_state_of_the_thing_that_the_turn_leads_to():
    states = np.random.default_rng(8).normal(size=(N, D))
    found = swaps(states, ANGLES, turns_of(N))
    for s in range(N):
        assert states + found[s] == pytest.approx(np.roll(states, -s, axis=0))
