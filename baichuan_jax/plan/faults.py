"""How often to write checkpoints on machines that fail, and what share of the time then goes into steps.

J. W. Young, "A first order approximation to the optimum checkpoint interval", CACM 17 (1974), has sqrt(2 save mttf).
J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future Generation Computer
Systems 22 (2006), has the next terms (his equation 37), and the wall time of a run whose faults come at random, at a
constant rate, also during saves and restarts (equation 20). Times are in seconds; mttf: mean time to a fault of all
machines together.
"""

from __future__ import annotations

from math import exp, expm1, sqrt


def best_interval(save: float, mttf: float) -> float:
    """Return the time of training between two saves that loses least. save: how long training stands for one."""
    if save >= 2 * mttf:
        return mttf
    ratio = save / (2 * mttf)
    return sqrt(2 * save * mttf) * (1 + sqrt(ratio) / 3 + ratio / 9) - save


def expected_goodput(interval: float, save: float, restart: float, mttf: float) -> float:
    """Return the share of the wall time that goes into steps that are kept. restart: from a fault to the next step."""
    return interval / (mttf * exp(restart / mttf) * expm1((interval + save) / mttf))
