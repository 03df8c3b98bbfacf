"""Which client trains which expert in federated Mixture-of-Experts training: solved exactly, with a certificate."""

from alignsolve.aligner import Aligner, AlignerState
from alignsolve.alignment import Alignment
from alignsolve.blocks import RowBlocks
from alignsolve.diagnose import Change, Diagnosis, Repair, Weights, Worth, diagnose
from alignsolve.estimate import CapacityProfiler, LoadMonitor, LossFitness, Outcome, Report, RouterFitness
from alignsolve.front import SOLVERS, solve
from alignsolve.layers import LayeredProblem, LayerSolution, join_layers
from alignsolve.problem import AlignmentProblem, Feature, ProblemClass
from alignsolve.solution import InfeasibleError, Proof, Solution, SolveError, Status, UnsupportedError
from alignsolve.solver import Answer, Capabilities, Progress, Solver, WarmStart
from alignsolve.witness import Witness

__version__ = "0.1.0"

__all__ = [
    "SOLVERS",
    "Aligner",
    "AlignerState",
    "Alignment",
    "AlignmentProblem",
    "Answer",
    "Capabilities",
    "CapacityProfiler",
    "Change",
    "Diagnosis",
    "Feature",
    "InfeasibleError",
    "LayerSolution",
    "LayeredProblem",
    "LoadMonitor",
    "LossFitness",
    "Outcome",
    "ProblemClass",
    "Progress",
    "Proof",
    "Repair",
    "Report",
    "RouterFitness",
    "RowBlocks",
    "Solution",
    "SolveError",
    "Solver",
    "Status",
    "UnsupportedError",
    "WarmStart",
    "Weights",
    "Witness",
    "Worth",
    "diagnose",
    "join_layers",
    "solve",
]
