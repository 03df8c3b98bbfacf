"""The earlier place of configuration files, kept for programs that import them from here."""

from fedtrain.config.file import build_config, read_config, read_toml, to_toml

__all__ = ["build_config", "read_config", "read_toml", "to_toml"]
