"""The solvers: one file each, a folder where one file is too little; :data:`alignsolve.SOLVERS` names them.

The front door imports a solver when it is asked for. A solver may import ``common/``, another solver that it calls,
and what lies below the solvers; it never imports the front door.
"""
