"""Reports that keep a client's data private: measures clipped, noised at the client, and the loss of privacy counted.

**What is protected** is the client: two reports of one client, whatever its data, are told apart with (epsilon, delta)
alone (local differential privacy). A weaker promise, for single examples, cannot be kept from here: usage, losses and
router masses are measured by a model that was trained on all of the client's examples, so that one example moves them
by an unknown amount. Their ranges are what bounds them: router mass and usage are shares that sum to 1, losses are
clipped to 0..loss_clip, accuracies lie in 0..1. With k experts held, a report's vector so moves by at most

    2 (router mass) + 2 + 2·k (usage, k losses / loss_clip, k accuracies)   in the sum of sizes,
    √(2             + 2 + 2·k)                                              in Euclidean length.

**Mechanisms.** "laplace": noise of scale (sum of sizes)/epsilon on every entry (Dwork, McSherry, Nissim and Smith,
TCC 2006); delta is 0 in one round. "gaussian": noise of standard deviation length/√(2·ρ), which is ρ-zCDP and with
ρ = (√(epsilon + ln(1/delta)) − √ln(1/delta))² (epsilon, delta)-DP (Bun and Steinke, TCC 2016, propositions 1.6, 1.3).

**Composition** over the T rounds in which a client reported: Gaussian noise adds up to T·ρ, hence
epsilon_T = T·ρ + 2·√(T·ρ·ln(1/delta)). Laplace noise adds up to T·epsilon, or, as an epsilon-DP mechanism is
(epsilon²/2)-zCDP (ibid., proposition 1.4), to the same formula with ρ = epsilon²/2, whichever is less.

**What is not hidden**: outcome, duration, bytes, and the number of examples, all of which the server sees or needs to
weigh updates. The update itself is not this file's matter either.

Noise is followed by repairs that read no data: losses, accuracies and usage are clipped to their ranges. Router
mass is raised by a constant, so that nothing is negative: alignment compares experts within a client, which this
leaves unbiased where clipping would not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray

Measure = Literal["router_mass", "pairs"]


@dataclass(frozen=True, eq=False)
class Ledger:
    """How often each client's measures were released, (num_clients,)."""

    releases: IntArray

    def grow(self, num_clients: int) -> "Ledger":
        """Return the same with nothing released by clients that joined."""
        return Ledger(np.concatenate([self.releases, np.zeros(num_clients - len(self.releases), dtype=np.int64)]))


@dataclass(frozen=True)
class Privacy:
    """The noise that clients add to their reports.

    Parameters
    ----------
    epsilon
        Privacy lost by one report, above 0.
    delta
        Probability that more is lost, between 0 and 1, both excluded; "laplace" uses it over several rounds only.
    mechanism
        "gaussian" or "laplace".
    release
        What is released: "router_mass", "pairs" (usage, loss and accuracy of the experts held) or both, which share
        the epsilon: to name only what the estimators read makes for less noise. What is not released is left out of the
        report: usage is 0, losses and accuracies are NaN, and who learns from them learns nothing.
    loss_clip
        Largest loss that is told, above 0.

    Examples
    --------
    >>> privacy = Privacy(epsilon=1.0, delta=1e-5)
    >>> round(privacy.spent(1), 6), round(privacy.spent(100), 2)
    (1.0, 11.87)
    """

    epsilon: float
    delta: float = 1e-5
    mechanism: Literal["gaussian", "laplace"] = "gaussian"
    release: tuple[Measure, ...] = ("router_mass", "pairs")
    loss_clip: float = 4.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.positive("epsilon", self.epsilon)
        if not 0 < self.delta < 1:
            raise ValueError(f"delta is {self.delta}; it must lie between 0 and 1, both excluded")
        checks.choice("mechanism", self.mechanism, ("gaussian", "laplace"))
        object.__setattr__(self, "release", tuple(self.release))
        for measure in self.release:
            checks.choice("release", measure, ("router_mass", "pairs"))
        if not self.release:
            raise ValueError("release is empty; a report without measures needs no privacy")
        checks.positive("loss_clip", self.loss_clip)

    def init(self, num_clients: int) -> Ledger:
        """Nothing was released."""
        return Ledger(np.zeros(num_clients, dtype=np.int64))

    def apply(
        self, ledger: Ledger, reports: Sequence[Report], *, rng: np.random.Generator
    ) -> tuple[list[Report], Ledger]:
        """Noise the completed reports, and count them."""
        releases = ledger.releases.copy()
        releases[[report.client for report in reports if report.completed]] += 1
        return privatize(reports, self, rng=rng), Ledger(releases)

    @property
    def rho(self) -> float:
        """Privacy lost by one report in the sense of zero-concentrated differential privacy."""
        if self.mechanism == "laplace":
            return self.epsilon**2 / 2
        doubt = math.log(1 / self.delta)
        return (math.sqrt(self.epsilon + doubt) - math.sqrt(doubt)) ** 2

    def spent(self, rounds: int) -> float:
        """Epsilon lost by a client that reported in this many rounds, at ``delta``."""
        together = rounds * self.rho
        epsilon = together + 2 * math.sqrt(together * math.log(1 / self.delta))
        return min(epsilon, rounds * self.epsilon) if self.mechanism == "laplace" else epsilon

    def noise(self, num_experts_held: int) -> float:
        """Scale of the noise on every entry: standard deviation if Gaussian, mean size if Laplace."""
        size = 2.0 * ("router_mass" in self.release)
        size += (2.0 + 2.0 * num_experts_held) * ("pairs" in self.release)
        return math.sqrt(size / (2 * self.rho)) if self.mechanism == "gaussian" else size / self.epsilon


def privatize(reports: Sequence[Report], privacy: Privacy, *, rng: np.random.Generator) -> list[Report]:
    """Clip and noise what completed reports tell, as the clients would before they send; others tell nothing anyway.

    Raises
    ------
    ValueError
        If router mass is to be released and a completed report has none.
    """
    return [_noised(report, privacy, rng) if report.completed else report for report in reports]


def _noised(report: Report, privacy: Privacy, rng: np.random.Generator) -> Report:
    scale, size = privacy.noise(len(report.experts)), len(report.experts)

    def noised(values: FloatArray) -> FloatArray:
        drawn = rng.standard_normal(values.shape) if privacy.mechanism == "gaussian" else rng.laplace(size=values.shape)
        return values + scale * drawn

    pairs = {"usage": np.zeros(size), "loss": np.full(size, np.nan), "accuracy": np.full(size, np.nan)}
    if "pairs" in privacy.release:
        pairs = {field: np.clip(noised(shares), 0.0, 1.0) for field, shares in _as_shares(report, privacy).items()}
        pairs["loss"] *= privacy.loss_clip
    mass = None
    if "router_mass" in privacy.release:
        if report.router_mass is None:
            raise ValueError(f"report of client {report.client}: there is no router_mass to release")
        mass = noised(_shares(report.router_mass))
        mass -= min(0.0, float(mass.min(initial=0.0)))
    return replace(report, usage=pairs["usage"], loss=pairs["loss"], accuracy=pairs["accuracy"], router_mass=mass)


def _as_shares(report: Report, privacy: Privacy) -> dict[str, FloatArray]:
    """Usage, losses and accuracies of the experts held, each between 0 and 1; 0 where nothing was routed."""
    used = report.usage > 0
    return {
        "usage": _shares(report.usage),
        "loss": np.clip(np.where(used, report.loss, 0.0) / privacy.loss_clip, 0.0, 1.0),
        "accuracy": np.clip(np.where(used, report.accuracy, 0.0), 0.0, 1.0),
    }


def _shares(values: FloatArray) -> FloatArray:
    """Scale to a sum of 1; zeros stay zeros, which is a share as well: it is as far from any other as they are."""
    total = values.sum()
    shares: FloatArray = values / total if total > 0 else np.zeros_like(values)
    return shares
