"""The solvers, one file each; :data:`alignsolve.SOLVERS` names them."""
