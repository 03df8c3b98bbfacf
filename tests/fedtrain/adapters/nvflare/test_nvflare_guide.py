"""The guide docs/nvflare.md: the classes that it shows are enough to train a model."""

from pathlib import Path

import pytest

pytest.importorskip("nvflare", reason="NVFlare is not installed: pip install 'alignsolve[nvflare]'")
pytest.importorskip("torch")

import torch

from fedtrain.adapters.nvflare import load_weights
from tests.nvflare_sites import Sites
from tests.test_guides import code_of

GUIDE = Path(__file__).parents[4] / "docs" / "nvflare.md"


def test_the_guides_classes_train_a_model(tmp_path):
    code: dict = {"__name__": "__main__"}
    exec(code_of(GUIDE.read_text(encoding="utf-8")), code)
    names = ["site-1", "site-2", "site-3"]
    server = code["Server"](clients=names, num_rounds=3, config=code["config"], state_dir=str(tmp_path))
    before = server.initial_weights()
    sites = Sites(code["Train"](), names)
    sites.run(server)
    assert len(sites.sent) == 3 * 3
    for name, experts, params in sites.held():
        assert len(experts) <= code["config"]["experts_that_fit"][names.index(name)]
        assert params["router.weight"].shape == (len(experts), 3)
    assert [figures["merged"] for figures in server.session.history] == [3, 3, 3]
    after = load_weights(tmp_path)
    assert any(not torch.equal(after[name], value) for name, value in before.items())
