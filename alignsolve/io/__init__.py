"""Files of problems, solutions and fitness matrices: records (.npz, .json), fitness folders, and tables with names.

Users, the command line and the aligner's state file call it. It imports problem, solution, data and the claim of
``certificate.verify``, and never a solver.
"""

from alignsolve.io.fitness_folder import load_fitness, save_fitness
from alignsolve.io.record_file import FileError
from alignsolve.io.records import load_problem, load_solution, save_problem, save_solution

__all__ = [
    "FileError",
    "load_fitness",
    "load_problem",
    "load_solution",
    "save_fitness",
    "save_problem",
    "save_solution",
]
