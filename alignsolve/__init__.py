"""Decides which client trains which expert in federated Mixture-of-Experts training, with a proof of optimality.

The root holds the public face: problem, solution, solver protocol, front door, aligner and policies; the rooms below it
hold their parts. It imports no other house of this repository, and never torch (but one engine for GPUs, lazily).
"""

from alignsolve.admission import AdmissionError
from alignsolve.aligner import Aligner
from alignsolve.aligner_file import load_state, save_state
from alignsolve.certificate.tree import ProofTree
from alignsolve.certificate.witness import Witness
from alignsolve.client_types import TypeSolution, solve_types
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import RowBlocks
from alignsolve.diagnose import Change, Diagnosis, Repair, Weights, Worth, diagnose
from alignsolve.estimate import (
    AffinityFitness,
    BipartitionFitness,
    CapacityProfiler,
    ChangeTest,
    ClusterFitness,
    ConflictFitness,
    CoverageLoad,
    DerivedDemand,
    EmbeddingFitness,
    GatedFitness,
    Geometry,
    HolderVariance,
    ImportanceFitness,
    LabelAgreement,
    LoadMonitor,
    LossFitness,
    LowRankFitness,
    MemoryBudget,
    MemoryLearner,
    NeededFitness,
    OortFitness,
    OptimisticFitness,
    OracleFitness,
    Outcome,
    OwnerFitness,
    Privacy,
    RandomFitness,
    Report,
    RevealedFitness,
    RouterFitness,
    Servers,
    SumFitness,
    SwitchingCost,
    TimeBudget,
    TypeFitness,
    UpdateFitness,
)
from alignsolve.estimate.aligner_state import AlignerState
from alignsolve.front import SOLVERS, solve
from alignsolve.io.tables import problem_from_tables
from alignsolve.layers import LayeredProblem, LayerSolution, join_layers
from alignsolve.policies import POLICIES, Parts
from alignsolve.problem import AlignmentProblem, Feature, ProblemClass
from alignsolve.solution import InfeasibleError, Proof, Solution, SolveError, Status, UnsupportedError
from alignsolve.solver import Answer, Capabilities, Progress, Solver, WarmStart

__version__ = "0.1.0"

__all__ = [
    "POLICIES",
    "SOLVERS",
    "AdmissionError",
    "AffinityFitness",
    "Aligner",
    "AlignerState",
    "Alignment",
    "AlignmentProblem",
    "Answer",
    "BipartitionFitness",
    "Capabilities",
    "CapacityProfiler",
    "Change",
    "ChangeTest",
    "ClusterFitness",
    "ConflictFitness",
    "CoverageLoad",
    "DerivedDemand",
    "Diagnosis",
    "EmbeddingFitness",
    "Feature",
    "GatedFitness",
    "Geometry",
    "HolderVariance",
    "ImportanceFitness",
    "InfeasibleError",
    "LabelAgreement",
    "LayerSolution",
    "LayeredProblem",
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
    "Parts",
    "Privacy",
    "ProblemClass",
    "Progress",
    "Proof",
    "ProofTree",
    "RandomFitness",
    "Repair",
    "Report",
    "RevealedFitness",
    "RouterFitness",
    "RowBlocks",
    "Servers",
    "Solution",
    "SolveError",
    "Solver",
    "Status",
    "SumFitness",
    "SwitchingCost",
    "TimeBudget",
    "TypeFitness",
    "TypeSolution",
    "UnsupportedError",
    "UpdateFitness",
    "WarmStart",
    "Weights",
    "Witness",
    "Worth",
    "diagnose",
    "join_layers",
    "load_state",
    "problem_from_tables",
    "save_state",
    "solve",
    "solve_types",
]
