"""NVFlare's controller and executor conform to the kit; tasks go through its own communicator in this process."""

import pytest

pytest.importorskip("nvflare", reason="NVFlare is not installed: pip install 'alignsolve[nvflare]'")

from fedtrain.adapters.conformance import CHECKS, check_resumption
from fedtrain.adapters.nvflare import AlignedExecutor
from tests.nvflare_sites import Server, Sites


def run(setting):
    class Training(AlignedExecutor):
        def train(self, given, experts, task):
            return setting.train(given, experts, task)

    class Controlling(Server):
        def make_aligner(self):
            return setting.aligner

    controller = Controlling(
        setting.weights,
        num_rounds=setting.num_rounds,
        router_down="held",
        seed=setting.seed,
        max_examples=setting.max_examples,
        state_dir=None if setting.state_dir is None else str(setting.state_dir),
    )
    return Sites(Training()).run(controller).seen[-1][1]


@pytest.mark.parametrize("check", CHECKS)
def test_nvflare_conforms(check):
    CHECKS[check](run)


def test_nvflare_resumes(tmp_path):
    check_resumption(run, tmp_path)
