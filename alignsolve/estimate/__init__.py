"""Estimators: they learn from the rounds how fit clients are for experts, and what loads and capacities to ask for.

An estimator is a frozen dataclass of parameters with pure functions (:mod:`.estimator`). Its state is a separate value,
so that a checkpoint is one value and a round can be computed twice. Users, the aligner and the policies call this room.
It imports the numerics and the data checks; :mod:`.clusters` and :mod:`.kmeans` also import problem and front.
"""

from alignsolve.estimate.affinity import AffinityFitness
from alignsolve.estimate.agreement import LabelAgreement
from alignsolve.estimate.bipartition import BipartitionFitness
from alignsolve.estimate.by_type import TypeFitness
from alignsolve.estimate.capacity import CapacityProfiler
from alignsolve.estimate.change import ChangeTest
from alignsolve.estimate.clusters import ClusterFitness
from alignsolve.estimate.completion import LowRankFitness
from alignsolve.estimate.conflict import ConflictFitness
from alignsolve.estimate.coverage import CoverageLoad
from alignsolve.estimate.deadline import Budgets, TimeBudget
from alignsolve.estimate.demand import WithDemand
from alignsolve.estimate.derived_demand import DerivedDemand, HolderVariance
from alignsolve.estimate.difference import GatedFitness
from alignsolve.estimate.embedding import EmbeddingFitness
from alignsolve.estimate.estimator import (
    BudgetEstimator,
    CapacityEstimator,
    FitnessEstimator,
    LoadEstimator,
    SwitchingEstimator,
)
from alignsolve.estimate.fitness import LossFitness, RouterFitness
from alignsolve.estimate.geometry import Geometry
from alignsolve.estimate.importance import ImportanceFitness
from alignsolve.estimate.layered import LayeredFitness, LayeredLoad
from alignsolve.estimate.lift import RevealedFitness
from alignsolve.estimate.load import LoadBounds, LoadMonitor
from alignsolve.estimate.memory import MemoryLearner
from alignsolve.estimate.memory_budget import MemoryBudget
from alignsolve.estimate.need_switch import NeededFitness
from alignsolve.estimate.oort import OortFitness
from alignsolve.estimate.optimism import OptimisticFitness
from alignsolve.estimate.optional import Advice
from alignsolve.estimate.oracle import OracleFitness
from alignsolve.estimate.owners import OwnerFitness
from alignsolve.estimate.privacy import Privacy, privatize
from alignsolve.estimate.random import RandomFitness
from alignsolve.estimate.report import Outcome, Report
from alignsolve.estimate.servers import Servers
from alignsolve.estimate.sums import SumFitness
from alignsolve.estimate.switching import SwitchingCost
from alignsolve.estimate.update_fitness import UpdateFitness

__all__ = [
    "Advice",
    "AffinityFitness",
    "BipartitionFitness",
    "BudgetEstimator",
    "Budgets",
    "CapacityEstimator",
    "CapacityProfiler",
    "ChangeTest",
    "ClusterFitness",
    "ConflictFitness",
    "CoverageLoad",
    "DerivedDemand",
    "EmbeddingFitness",
    "FitnessEstimator",
    "GatedFitness",
    "Geometry",
    "HolderVariance",
    "ImportanceFitness",
    "LabelAgreement",
    "LayeredFitness",
    "LayeredLoad",
    "LoadBounds",
    "LoadEstimator",
    "LoadMonitor",
    "LossFitness",
    "LowRankFitness",
    "MemoryBudget",
    "MemoryLearner",
    "NeededFitness",
    "OortFitness",
    "OptimisticFitness",
    "OracleFitness",
    "Outcome",
    "OwnerFitness",
    "Privacy",
    "RandomFitness",
    "Report",
    "RevealedFitness",
    "RouterFitness",
    "Servers",
    "SumFitness",
    "SwitchingCost",
    "SwitchingEstimator",
    "TimeBudget",
    "TypeFitness",
    "UpdateFitness",
    "WithDemand",
    "privatize",
]
