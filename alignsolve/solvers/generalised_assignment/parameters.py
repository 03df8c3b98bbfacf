"""The parameters of the search for generalised assignment: how it shares its time, and what each step aims at.

An answer is right whatever the parameters are; they decide only how soon it is found.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameters:
    """Parameters of :func:`~alignsolve.solvers.generalised_assignment.solver.solve_generalised_assignment`.

    "Share" means a share of the time limit, unless said otherwise. Steps and nodes without a time are the limits that
    hold where there is no time limit.

    Attributes
    ----------
    first_descents
        Descents of the local search before the multipliers climb: they need an incumbent to climb towards.
    descents
        Descents before the integer program, without a time limit.
    climb_steps, climb_share
        Steps of the multipliers at a time, and the largest share of all their climbs together.
    first_round, round_growth
        Share of the first round of local search and integer program, and how many times longer each next round is.
    few_pairs
        Open pairs for each client up to which the integer program aims at anything better than the incumbent.
    aim, smallest_aim
        With more open pairs it aims at costs above the bound by at most this share of the gap. The share doubles once
        the aim is exhausted and is halved, down to the second number, where it is not.
    whole_aim
        Whole costs above the bound by less than one are the bound: the aim is at least this much above it.
    first_tree_share
        Share of trees before any integer program.
    nodes
        Nodes of trees without a time limit.
    tree_share, likely_tree_share
        Share of the integer program's time that trees have afterwards, and the share while the present tree seems to
        end in time.
    glance
        Nodes of a tree between two looks at the local search's result.
    near
        Distance of the incumbent from the bound, in whole costs, up to which a tree has all the time.
    restricted_share
        Share of the integer program's time for restricted problems, while they pay.
    attempt_share, brief_share
        Largest share of one restricted problem, and of the tree that solves it.
    ambition
        A restricted problem aims at costs above the bound by this share of the gap.
    hopeless
        Share of open pairs above which the integer program is not tried.
    reserve
        Share of the time limit, and number of seconds, kept for what comes after the search: the smaller one holds.
    agreement
        Largest relative difference between HiGHS's bound and the cost of an alignment that it calls optimal.
    unknown_gap
        Without an incumbent the multipliers climb towards the relaxation's bound plus this share of it.
    """

    first_descents: int = 60
    descents: int = 1500
    climb_steps: int = 2000
    climb_share: float = 0.15
    first_round: float = 0.1
    round_growth: float = 2.0
    few_pairs: int = 2
    aim: float = 0.25
    smallest_aim: float = 1.0 / 64.0
    whole_aim: float = 0.5
    first_tree_share: float = 0.2
    nodes: int = 20_000
    tree_share: float = 0.2
    likely_tree_share: float = 0.5
    glance: int = 50
    near: float = 1.0
    restricted_share: float = 0.75
    attempt_share: float = 0.12
    brief_share: float = 0.04
    ambition: float = 0.5
    hopeless: float = 0.5
    reserve: float = 0.03
    agreement: float = 1e-6
    unknown_gap: float = 0.01


DEFAULTS = Parameters()
"""The parameters that are used unless others are given."""
