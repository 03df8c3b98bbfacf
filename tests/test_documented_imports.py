"""Programs that import what the documentation has ever named go on working, wherever it lives now."""

import importlib
from importlib.util import find_spec

import pytest

DOCUMENTED = {
    "alignsolve": (
        "AffinityFitness Aligner AlignerState Alignment AlignmentProblem Answer Capabilities CapacityProfiler "
        "Change ClusterFitness CoverageLoad Diagnosis Feature GatedFitness InfeasibleError LayerSolution "
        "LayeredProblem LoadMonitor LossFitness LowRankFitness MemoryLearner NeededFitness OortFitness "
        "OptimisticFitness Outcome POLICIES Parts Privacy ProblemClass Progress Proof RandomFitness Repair "
        "Report RouterFitness RowBlocks SOLVERS Solution SolveError Solver Status SumFitness SwitchingCost "
        "TimeBudget UnsupportedError WarmStart Weights Witness Worth diagnose join_layers load_state "
        "save_state solve"
    ),
    "alignsolve.estimate": (
        "BudgetEstimator Budgets CapacityEstimator FitnessEstimator LayeredFitness LayeredLoad LoadBounds "
        "LoadEstimator SwitchingEstimator WithDemand privatize"
    ),
    "alignsolve.front": "SOLVERS solve",
    "alignsolve.io": "FileError load_fitness load_problem load_solution save_fitness save_problem save_solution",
    "alignsolve.policies": "expert_choice fedamole flex_moe none oort ours random random_balanced rolling topk",
    "alignsolve.solver": "CARDINALITY",
    "alignsolve.solvers.auto": "Auto",
    "alignsolve.solvers.baseline": "ExpertChoice Random Rolling TopK",
    "alignsolve.solvers.cpsat": "CpSat",
    "alignsolve.solvers.flow": "Flow",
    "alignsolve.solvers.greedy": "Greedy Regret",
    "alignsolve.solvers.ilp.solver": "Ilp",
    "alignsolve.solvers.lagrangian": "Lagrangian",
    "alignsolve.solvers.price": "Price",
    "alignsolve.solvers.simplex": "NetworkX",
    "benchmarks": "solvers",
    "benchmarks.rows": "best_bounds gap read",
    "fedtrain": "client",
    "fedtrain.adapters.flower": (
        "AlignedStrategy RecordError SavedStateError Task TooFewClientsError client_app load_weights pack unpack"
    ),
    "fedtrain.adapters.huggingface": (
        "Download FineTuning Lora Round Training evaluate fewest_experts load_model run_rounds sub_model "
        "train weights_of windows"
    ),
    "fedtrain.adapters.nvflare": (
        "AlignedController AlignedExecutor SavedStateError Task TooFewClientsError load_weights"
    ),
    "fedtrain.aggregate": "RULES aggregate mean median multi_krum trimmed_mean",
    "fedtrain.client": "LocalData auxiliary_loss train",
    "fedtrain.config": (
        "AggregationConfig AlignmentConfig AttackConfig ClientsConfig ConfigError DataConfig FITNESS_NAMES "
        "ModelConfig RunConfig TierConfig TrainingConfig ValidationConfig"
    ),
    "fedtrain.config_file": "read_config",
    "fedtrain.data": "DATASETS DataError Examples Federated",
    "fedtrain.layouts": "Kind LAYOUTS Layout LayoutError Part Weights detect",
    "fedtrain.models": (
        "MLPSpec MODELS Model ModelSpec Routed Tensors expert_of initial_tensors layer_sizes num_active "
        "num_bytes part_to_download part_to_upload skeleton"
    ),
    "fedtrain.partial": "Merged PartialUpdate RouterRows Traffic assignments find_fault merge slice_weights traffic",
    "fedtrain.randomness": "Purpose generator",
    "fedtrain.server": "Federation evaluate initial_state prepare",
    "problems": (
        "FAMILIES Family Reason additive clustered constant contradictory_row crossed_bounds duplicated "
        "every_expert exact_bytes exact_decimals few_eligible gap_a gap_b gap_c gap_d gap_e integers layers "
        "layers_under_one_budget memory_and_time_budgets memory_budget narrow_layer no_expert outlier popular "
        "rank1 required scarce_bytes scarce_clients scarce_experts soft sparse ties tight unaffordable_row "
        "uniform weighted weighted_bytes zeros"
    ),
    "problems.dimacs": "read",
    "problems.export": "write",
    "problems.orlib": "one_each read write",
}
"""The names that README, guides, reference and examples of version 0.1 import, by module."""
NEED = {
    "fedtrain": "torch",
    "fedtrain.adapters.flower": "flwr",
    "fedtrain.adapters.nvflare": "nvflare",
    "fedtrain.adapters.huggingface": "peft",
}


@pytest.mark.parametrize("module", DOCUMENTED)
def test_what_was_documented_can_still_be_imported(module):
    missing = [package for place, package in NEED.items() if module.startswith(place) and find_spec(package) is None]
    if missing:
        pytest.skip(f"{module} needs {', '.join(missing)}")
    place = importlib.import_module(module)
    gone = [
        name
        for name in DOCUMENTED[module].split()
        if not hasattr(place, name) and find_spec(f"{module}.{name}") is None
    ]
    assert gone == []
