"""A first honest score: the share of a borrower's own instalments that came late, shrunk.

The event of `probability_of_default` is "the next instalment is still unpaid the day after it is
due". The estimate is the posterior mean of a Beta-binomial model (Gelman et al., Bayesian Data
Analysis, 3rd ed., section 2.4) over the instalments of the borrower due before the as-of date.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What is believed before any history: a mean in (0, 1), worth `strength` instalments."""

    mean: float = 0.15
    strength: float = 4.0


def probability_of_default(late: Int64s, due: Int64s, prior: Prior) -> Floats:
    """Of borrowers of whose instalments so many were due before the day, and so many of them late.

    An instalment is late if it was not settled by the end of its effective due date.
    """
    shares: Floats = (late + prior.mean * prior.strength) / (due + prior.strength)
    return shares
