"""Outside solvers as their users would call them: from raw arrays, in bulk where they have a bulk interface.

Each is one file, a frozen dataclass that says what it can take, and one line here.
"""

PEERS = {
    "ortools": "benchmarks.peers.ortools_flow:MIN_COST_FLOW",
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
"""Every peer by name: ``module:contender``, imported when it is asked for."""
