"""Peers: outside solvers, called as their users would call them, in bulk where they have a bulk interface.

Each peer is one file (a frozen dataclass of the Contender protocol) and one line in ``PEERS``.
:mod:`benchmarks.entrants` imports a peer by its name. A peer may import alignsolve, problems, the contender protocol
and the package that it calls.
"""

PEERS = {
    "ortools": "benchmarks.peers.ortools_flow:MIN_COST_FLOW",
    "ortools-lsa": "benchmarks.peers.ortools_assignment:LINEAR_ASSIGNMENT",
    "highs-ipm": "benchmarks.peers.highs:INTERIOR_POINT",
    "highs-simplex": "benchmarks.peers.highs:SIMPLEX",
    "highs-mip": "benchmarks.peers.highs:MIP",
    "pulp-cbc": "benchmarks.peers.pulp_cbc:CBC",
    "networkx-simplex": "benchmarks.peers.networkx_simplex:NETWORK_SIMPLEX",
    "scipy-linprog": "benchmarks.peers.scipy_linprog:LINPROG",
    "scipy-lsa": "benchmarks.peers.replicated:SCIPY",
    "lapx": "benchmarks.peers.replicated:LAPX",
    "pot-emd": "benchmarks.peers.pot_emd:EMD",
}
"""Every peer by name, as ``module:contender``; it is imported on demand."""
