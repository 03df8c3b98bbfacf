"""The documentation; a package so that ``python -m docs.pictures.draw`` finds its pictures."""
