"""Draw the pictures of the docs, from stored rows and from runs of the code: ``python -m docs.pictures.draw``.

It takes a minute or two. Every picture is a function that runs solvers with fixed seeds, or reads rows, and returns a
figure. With the same matplotlib, all files are equal byte for byte, except ``search``, which shows seconds.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import matplotlib.pyplot as plt
import typer
from matplotlib.figure import Figure

from docs.pictures import curves
from docs.pictures.dual import dual
from docs.pictures.gap import gap
from docs.pictures.private import private
from docs.pictures.race import race
from docs.pictures.rounds import core, samples, sizes
from docs.pictures.search import search
from docs.pictures.warm import warm

PICTURES: dict[str, Callable[[], Figure]] = {
    "dual": dual,
    "samples": samples,
    "core": core,
    "sizes": sizes,
    "warm": warm,
    "race": race,
    "gap": gap,
    "search": search,
    "private": private,
    "curves-real": curves.real,
    "curves-shapes": curves.shapes,
    "curves-instances": curves.instances,
}
STYLE = {
    "svg.hashsalt": "alignsolve",
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.markersize": 4.0,
}


def draw(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(PICTURES)}; all of them if none.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")] = Path(__file__).parent,
) -> None:
    """Draw pictures as SVG files."""
    with mpl.rc_context(STYLE):
        for name in names or PICTURES:
            figure = PICTURES[name]()
            figure.savefig(out / f"{name}.svg", facecolor="white", metadata={"Date": None})
            plt.close(figure)


if __name__ == "__main__":
    typer.run(draw)
