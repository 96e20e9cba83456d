"""Methods by name: which rule carries relevance through which layer.

A method has a rule for convolutions and one for the first of them, whose input is the log-mel; the linear
head has LRP-epsilon in every method, which keeps the sign of each feature's part in the logit. The rules are
those of Bach et al., *PLoS ONE* 10(7), 2015 (eqs. 58 and 60), and of Table 10.1 in Montavon et al., *LRP: an
overview*, 2019. With the input `a` of a layer, its weights `w_jk` and biases `b_k`, ``w^+ = max(w, 0)`` and
``w^- = min(w, 0)``, each carries relevance `R_k` down to `R_j`:

=============  =====================================================================================
`Epsilon`      ``R_j = sum_k a_j w_jk / (z_k + epsilon sign z_k) R_k``,  ``z_k = sum_j a_j w_jk + b_k``
`Gamma`        the same with ``w + gamma w^+`` for w and ``b + gamma b^+`` for b
`AlphaBeta`    ``R_j = sum_k (alpha a_j w_jk^+ / z_k^+ - beta a_j w_jk^- / z_k^-) R_k``, where
               ``z_k^+ = sum_j a_j w_jk^+ + b_k^+`` and ``z_k^-`` likewise, for ``a_j >= 0``
`Flat`         ``R_j = sum_k R_k / n_k`` over the n_k inputs that output k sees
`Box`          ``R_j = sum_k (a_j w_jk - l w_jk^+ - h w_jk^-) / z_k R_k`` for inputs in l..h, where z_k is
               the sum of the numerators over j
=============  =====================================================================================

AlphaBeta(1, 0) is the z+ rule. Every denominator is kept from vanishing as that of `Epsilon` is, with
`EPSILON`. Nothing here is heavy: names can be shown without the science.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ml.errors import UnknownMethodError

EPSILON = 1e-6  # of LRP-epsilon, and what keeps every other denominator from vanishing


@dataclass(frozen=True)
class Epsilon:
    """LRP-epsilon (Bach et al. 2015, eq. 58), with `EPSILON`: what speaks for and against, as it is."""


@dataclass(frozen=True)
class Gamma:
    """LRP-gamma (Montavon et al. 2019): LRP-epsilon that favours what speaks for the decision."""

    gamma: float


@dataclass(frozen=True)
class AlphaBeta:
    """LRP-alpha-beta (Bach et al. 2015, eq. 60): `alpha` for, `beta` against, ``alpha - beta = 1``."""

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        if self.beta < 0.0 or self.alpha - self.beta != 1.0:
            raise ValueError(
                f"alpha {self.alpha} and beta {self.beta}: beta must be 0 or more, alpha beta + 1."
            )


@dataclass(frozen=True)
class Flat:
    """Relevance spread evenly over whatever an output sees (Montavon et al. 2019, Table 10.1)."""


@dataclass(frozen=True)
class Box:
    """The z^B rule for inputs that lie in `low`..`high` (Montavon et al. 2019, Table 10.1)."""

    low: float
    high: float


Rule = Epsilon | Gamma | AlphaBeta | Flat | Box


@dataclass(frozen=True)
class Method:
    """A way of carrying relevance from a logit to the log-mel.

    Attributes
    ----------
    name : str
        What `METHODS` calls it.
    description : str
        One line for people.
    convolutions : Rule
        Of every convolution but the first; neither `Flat` nor `Box`, which do not look at what entered.
    first : Rule
        Of the first convolution.
    """

    name: str
    description: str
    convolutions: Epsilon | Gamma | AlphaBeta
    first: Rule


_PLUS, _TWO_ONE, _GAMMA = AlphaBeta(1.0, 0.0), AlphaBeta(2.0, 1.0), Gamma(0.25)
_FLAT, _BOX = Flat(), Box(0.0, 1.0)  # a scaled log-mel lies in 0..1

_ALL = (
    Method("epsilon", "LRP-epsilon everywhere", Epsilon(), Epsilon()),
    Method("epsilon-plus", "z+ in the convolutions: only what excites counts", _PLUS, _PLUS),
    Method("epsilon-plus-flat", "z+, spread evenly in the first convolution", _PLUS, _FLAT),
    Method("epsilon-plus-box", "z+, and z^B in the first convolution", _PLUS, _BOX),
    Method("alpha2-beta1", "what excites counts twice, less what inhibits", _TWO_ONE, _TWO_ONE),
    Method("alpha2-beta1-flat", "alpha2-beta1, spread evenly in the first convolution", _TWO_ONE, _FLAT),
    Method("alpha2-beta1-box", "alpha2-beta1, and z^B in the first convolution", _TWO_ONE, _BOX),
    Method("gamma", "LRP-gamma (0.25) in the convolutions", _GAMMA, _GAMMA),
    Method("gamma-box", "LRP-gamma (0.25), and z^B in the first convolution", _GAMMA, _BOX),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _ALL})
DEFAULT_METHOD = "alpha2-beta1"


def method_named(name: str | None = None) -> Method:
    """The method with a name.

    Parameters
    ----------
    name : str, optional
        A key of `METHODS`; by default `DEFAULT_METHOD`.

    Returns
    -------
    Method

    Raises
    ------
    UnknownMethodError
        When there is none.
    """
    chosen = DEFAULT_METHOD if name is None else name
    if chosen not in METHODS:
        raise UnknownMethodError(
            f"Unknown method {chosen!r}; there are {', '.join(METHODS)}.",
            extra={"unknown": chosen, "available": list(METHODS)},
        )
    return METHODS[chosen]
