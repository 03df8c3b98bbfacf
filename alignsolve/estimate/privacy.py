"""Private reports: clients clip their measures and add noise, and the privacy loss of every client is counted.

**Protected unit.** A client's whole data is protected by (epsilon, delta) local differential privacy: reports from any
two data sets of a client are (epsilon, delta)-indistinguishable. Protection of single examples cannot be computed here:
usage, losses and router masses are measured by a model that was trained on all of the client's examples, so one example
may change them by an unknown amount. The sensitivity follows from the measures' ranges: router mass and usage are
shares that sum to 1, losses are clipped to 0..loss_clip, accuracies lie in 0..1. With k experts held, a report's vector
changes by at most

    2 (router mass) + 2 + 2·k (usage, k losses / loss_clip, k accuracies)   in the L1 norm,
    √(2             + 2 + 2·k)                                              in the L2 norm.

**Mechanisms.** "laplace" adds noise of scale (L1 norm)/epsilon to every entry (Dwork, McSherry, Nissim and Smith, TCC
2006); delta is 0 in one round. "gaussian" adds noise of standard deviation (L2 norm)/√(2·ρ). This is ρ-zCDP, and with
ρ = (√(epsilon + ln(1/delta)) − √ln(1/delta))² it is (epsilon, delta)-DP (Bun and Steinke, TCC 2016, propositions 1.6
and 1.3).

**Composition** over the T rounds in which a client reported. Gaussian noise gives T·ρ-zCDP, hence
epsilon_T = T·ρ + 2·√(T·ρ·ln(1/delta)). Laplace noise gives T·epsilon. An epsilon-DP mechanism is also (epsilon²/2)-zCDP
(ibid., proposition 1.4), so the formula above holds with ρ = epsilon²/2; the smaller value counts.

**Not protected**: outcome, duration, bytes and the number of examples. The server sees them, or needs them to weigh
updates. The update itself is outside the scope of this file, and so is its geometry, which the server computes from it.

After the noise, the values are repaired without reading data: losses, accuracies and usage are clipped to their ranges.
Router mass is raised by a constant until no entry is negative. Alignment compares experts within a client, and a
constant leaves this comparison unbiased; clipping would not.
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
    """How often each client's measures were released: whole numbers of shape (num_clients,)."""

    releases: IntArray

    def grow(self, num_clients: int) -> "Ledger":
        """Return a copy with no releases of the clients that joined."""
        return Ledger(np.concatenate([self.releases, np.zeros(num_clients - len(self.releases), dtype=np.int64)]))


@dataclass(frozen=True)
class Privacy:
    """The noise that clients add to their reports.

    Parameters
    ----------
    epsilon
        Privacy loss of one report, above 0.
    delta
        Probability of a larger loss, between 0 and 1, both excluded; "laplace" uses it only over several rounds.
    mechanism
        "gaussian" or "laplace".
    release
        The measures that are released: "router_mass", "pairs" (usage, loss and accuracy of the experts held) or both.
        Both share the epsilon, so there is less noise if only the measures that the estimators read are released. In
        the report, measures that are not released are empty: usage is 0, losses and accuracies are NaN, router mass is
        None.
    loss_clip
        Largest loss in a report, above 0; larger losses are clipped to it.

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
        """Return a ledger without releases."""
        return Ledger(np.zeros(num_clients, dtype=np.int64))

    def apply(
        self, ledger: Ledger, reports: Sequence[Report], *, rng: np.random.Generator
    ) -> tuple[list[Report], Ledger]:
        """Add noise to the completed reports, and count their release."""
        releases = ledger.releases.copy()
        releases[[report.client for report in reports if report.completed]] += 1
        return privatize(reports, self, rng=rng), Ledger(releases)

    @property
    def rho(self) -> float:
        """Privacy loss of one report as the ρ of zero-concentrated differential privacy (zCDP)."""
        if self.mechanism == "laplace":
            return self.epsilon**2 / 2
        doubt = math.log(1 / self.delta)
        return (math.sqrt(self.epsilon + doubt) - math.sqrt(doubt)) ** 2

    def spent(self, rounds: int) -> float:
        """Return the epsilon, at ``delta``, of a client that reported in this many rounds."""
        together = rounds * self.rho
        epsilon = together + 2 * math.sqrt(together * math.log(1 / self.delta))
        return min(epsilon, rounds * self.epsilon) if self.mechanism == "laplace" else epsilon

    def noise(self, num_experts_held: int) -> float:
        """Return the scale of the noise on every entry: its standard deviation (Gaussian) or mean size (Laplace)."""
        size = 2.0 * ("router_mass" in self.release)
        size += (2.0 + 2.0 * num_experts_held) * ("pairs" in self.release)
        return math.sqrt(size / (2 * self.rho)) if self.mechanism == "gaussian" else size / self.epsilon


def privatize(reports: Sequence[Report], privacy: Privacy, *, rng: np.random.Generator) -> list[Report]:
    """Clip and noise the measures of completed reports, as clients do before sending; other reports are unchanged.

    Parameters
    ----------
    reports
        True reports of a round.
    privacy
        Mechanism, epsilon, and the measures to release.
    rng
        Source of the noise.

    Raises
    ------
    ValueError
        If router mass is to be released but a completed report has none.
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
    """Return usage, losses and accuracies of the experts held, each scaled to 0..1; 0 where the usage is 0."""
    used = report.usage > 0
    return {
        "usage": _shares(report.usage),
        "loss": np.clip(np.where(used, report.loss, 0.0) / privacy.loss_clip, 0.0, 1.0),
        "accuracy": np.clip(np.where(used, report.accuracy, 0.0), 0.0, 1.0),
    }


def _shares(values: FloatArray) -> FloatArray:
    """Scale to a sum of 1. All zeros stay zeros; the sensitivity bounds hold for them as well."""
    total = values.sum()
    shares: FloatArray = values / total if total > 0 else np.zeros_like(values)
    return shares
