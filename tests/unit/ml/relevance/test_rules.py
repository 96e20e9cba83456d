"""Every rule at one layer: against sums written out contribution by contribution, and by invariants."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.relevance.methods import METHODS, AlphaBeta, Box, Epsilon, Flat, Gamma, Rule
from ml.relevance.rules import terms_of
from tests.reference import lrp, lrp_rules
from tests.unit.ml.relevance.small import FLOAT64, RULES, deviation

EPSILON = 1e-6
CONSERVED = 1e-4  # the stabilizer takes a little where a denominator is small
IN_SHAPE = (2, 6, 5)

KINDS = pytest.mark.parametrize(("rule", "reference"), RULES, ids=str)


def small_convolution(bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(3)
    return nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=bias).double().requires_grad_(False)


def not_negative() -> Tensor:
    return torch.rand(1, *IN_SHAPE, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def relevance_like(output: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(output.shape, generator=generator, dtype=torch.float64)


def by_our_rule(rule: Rule, convolution: nn.Conv2d, a: Tensor, relevance: Tensor) -> Tensor:
    """`terms_of` put to use as its module's docstring writes it, with autograd as the transposed sum."""
    terms = terms_of(rule, convolution, a)
    n_terms, n_groups = len(terms.quotients), len(terms.factors)
    weights = terms.weights.reshape(n_terms, -1, n_groups, a.shape[1], *terms.weights.shape[2:])
    found = torch.zeros_like(a)
    for term in range(n_terms):
        for group in range(n_groups):
            probe = torch.zeros_like(a).requires_grad_(True)
            where = (convolution.stride, convolution.padding)
            output = nn.functional.conv2d(probe, weights[term, :, group], None, *where)  # type: ignore[arg-type]
            (spread,) = torch.autograd.grad(output, probe, terms.quotients[term] * relevance)
            found = found + terms.factors[group] * spread
    return found


def contributions_of(
    rule: Rule, weight: NDArray[np.float64], bias: float, a: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How one output shares a relevance of 1 among its inputs, by the rule's formula."""

    def stable(z: float) -> float:
        return z + EPSILON if z >= 0 else z - EPSILON

    shares: NDArray[np.float64]
    seen = weight != 0.0
    match rule:
        case Epsilon():
            z = a * weight
            shares = z / stable(z.sum() + bias)
        case Gamma(gamma):
            z = a * (weight + gamma * weight.clip(min=0))
            shares = z / stable(z.sum() + bias + gamma * max(bias, 0))
        case AlphaBeta(alpha, beta):
            up, down = (a * weight).clip(min=0), (a * weight).clip(max=0)
            shares = alpha * up / stable(up.sum() + max(bias, 0))
            shares = shares - beta * down / stable(down.sum() + min(bias, 0))
        case Flat():
            shares = seen / stable(float(seen.sum()))
        case Box(low, high):
            z = a * weight - low * weight.clip(min=0) - high * weight.clip(max=0)
            shares = z / stable(z.sum())
    return shares


@KINDS
def test_each_rule_is_its_formula_written_out(rule: Rule, reference: lrp_rules.Rule) -> None:
    """Ours and the reference, against shares of every single output over a dense matrix."""
    convolution, a = small_convolution(), not_negative()
    leaving = relevance_like(convolution(a))
    matrix = lrp.dense_matrix(convolution, IN_SHAPE)  # (n_out, n_in)
    assert convolution.bias is not None
    biases = convolution.bias.repeat_interleave(leaving[0, 0].numel()).numpy()
    expected = np.zeros(a.numel())
    for row, bias, relevance in zip(matrix, biases, leaving.flatten().numpy(), strict=True):
        expected += contributions_of(rule, row, float(bias), a.flatten().numpy()) * relevance
    assert deviation(reference(convolution, a, leaving).flatten().numpy(), expected) < FLOAT64
    assert deviation(by_our_rule(rule, convolution, a, leaving).flatten().numpy(), expected) < FLOAT64


def test_the_reference_of_alpha_beta_takes_inputs_of_any_sign() -> None:
    convolution = small_convolution()
    a = torch.randn(1, *IN_SHAPE, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    leaving = relevance_like(convolution(a))
    matrix = lrp.dense_matrix(convolution, IN_SHAPE)
    assert convolution.bias is not None
    biases = convolution.bias.repeat_interleave(leaving[0, 0].numel()).numpy()
    expected = np.zeros(a.numel())
    for row, bias, relevance in zip(matrix, biases, leaving.flatten().numpy(), strict=True):
        shares = contributions_of(AlphaBeta(2.0, 1.0), row, float(bias), a.flatten().numpy())
        expected += shares * relevance
    found = lrp_rules.alpha_beta(2, 1)(convolution, a, leaving)
    assert deviation(found.flatten().numpy(), expected) < FLOAT64


@KINDS
def test_without_biases_every_rule_conserves_relevance(rule: Rule, reference: lrp_rules.Rule) -> None:
    del reference
    convolution, a = small_convolution(bias=False), not_negative()
    leaving = relevance_like(convolution(a))
    arrived = by_our_rule(rule, convolution, a, leaving)
    assert float(arrived.sum()) == pytest.approx(float(leaving.sum()), rel=CONSERVED)


def test_box_and_plus_never_change_the_sign_of_relevance() -> None:
    convolution, a = small_convolution(), not_negative()
    leaving = relevance_like(convolution(a)).abs()
    keeping: list[Rule] = [Box(0.0, 1.0), AlphaBeta(1.0, 0.0), Flat()]
    splitting: list[Rule] = [Epsilon(), Gamma(0.25), AlphaBeta(2.0, 1.0)]
    assert all(float(by_our_rule(rule, convolution, a, leaving).min()) >= 0.0 for rule in keeping)
    assert all(float(by_our_rule(rule, convolution, a, leaving).min()) < 0.0 for rule in splitting)


def test_alpha_and_beta_must_differ_by_one() -> None:
    for alpha, beta in ((2.0, 0.0), (0.0, -1.0), (1.0, 1.0)):
        with pytest.raises(ValueError, match=f"alpha {alpha} and beta {beta}"):
            AlphaBeta(alpha, beta)


def test_the_reference_knows_every_method() -> None:
    assert list(lrp_rules.BY_METHOD) == list(METHODS)
