"""The server's app: it aligns, merges, and evaluates on the test set."""

from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp

from digits.task import federation
from fedtrain.adapters.flower import AlignedStrategy, pack, unpack
from fedtrain.server import evaluate, initial_state

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train for the configured rounds, or for those that are left."""
    ours, run = federation(context), context.run_config
    config = ours.config
    strategy = AlignedStrategy(
        ours.aligner,
        num_clients=config.clients.num_clients,
        seed=config.seed,
        cohort_fraction=config.clients.cohort_fraction,
        patience=float(run["patience"]),
        router_down="all",  # fedtrain's clients compare their experts with those that they do not hold
        state_dir=str(run["state-dir"]) or None,
    )

    def evaluated(_: int, arrays: ArrayRecord) -> MetricRecord:
        accuracy, loss = evaluate(ours, unpack(arrays))
        return MetricRecord({"accuracy": accuracy, "loss": loss})

    strategy.start(
        grid,
        pack(initial_state(ours).tensors),
        num_rounds=config.rounds,
        timeout=float(run["timeout"]),
        evaluate_fn=evaluated,
    )
