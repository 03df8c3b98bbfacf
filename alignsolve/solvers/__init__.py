"""The solvers: one file each, a folder where one file is too little; :data:`alignsolve.SOLVERS` names them.

The front door imports a solver when it is asked for. A solver imports what lies below it, never the front door.
"""
