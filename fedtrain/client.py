"""The earlier place of local training, kept for programs that import it from here."""

from fedtrain.local.client import LocalData, auxiliary_loss, train

__all__ = ["LocalData", "auxiliary_loss", "train"]
