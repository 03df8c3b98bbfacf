"""What the rounds teach: how fit a client is for an expert, what load an expert needs, what a client can carry.

Estimators are frozen dataclasses of parameters with pure functions (:mod:`.estimator`); what they have learned is a
value apart, so that a checkpoint is one value and a round can be computed twice.
"""

from alignsolve.estimate.capacity import CapacityProfiler
from alignsolve.estimate.estimator import CapacityEstimator, FitnessEstimator, LoadEstimator
from alignsolve.estimate.fitness import LossFitness, RouterFitness
from alignsolve.estimate.load import LoadBounds, LoadMonitor
from alignsolve.estimate.report import Outcome, Report

__all__ = [
    "CapacityEstimator",
    "CapacityProfiler",
    "FitnessEstimator",
    "LoadBounds",
    "LoadEstimator",
    "LoadMonitor",
    "LossFitness",
    "Outcome",
    "Report",
    "RouterFitness",
]
