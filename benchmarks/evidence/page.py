"""Writes docs/evidence.md and its pictures from the results of the comparisons.

The interpretation of the figures is written by hand, in findings.md beside this file; it opens the page, as long as
there are no rows of the second protocol (:mod:`.second.page`).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.evidence.claims import VISIBLE, Verdict, corrected, verdicts
from benchmarks.evidence.pictures import draw_accuracy
from benchmarks.evidence.second.page import Part
from fedtrain.compare.comparison import Compared
from fedtrain.compare.judge import Comparison, Figures, times_to
from fedtrain.compare.plan import Plan
from fedtrain.compare.statistics import Estimate, paired_ratio
from fedtrain.compare.tables import markdown_table, mean_text, time_text
from fedtrain.results import atomic

FINDINGS = Path(__file__).parent / "findings.md"
FIGURES = ("accuracy", "personalised", "worst")
LOADS = ("assigned_cv", "completed_cv", "completed_cv_total", "sample_cv_total", "regret")


def write_page(main: Compared, ablation: Compared, longer: Compared, *, docs: Path, second: Part | None = None) -> None:
    """Write ``docs/evidence.md``, and a picture for every task under ``docs/evidence/``."""
    main, ablation = corrected([main, ablation])
    pictures = docs / "evidence"
    pictures.mkdir(exist_ok=True)
    for task in main.plan.tasks:
        draw_accuracy(main, task, pictures / f"{task}.svg")
    atomic.replace_text(docs / "evidence.md", page(main, ablation, longer, second))


def page(main: Compared, ablation: Compared, longer: Compared, second: Part | None = None) -> str:
    """Return the page: the first protocol, and before it the part of the second one if there is any.

    Once a study of the second protocol is finished, the first protocol is told in short.
    """
    findings = FINDINGS.read_text(encoding="utf-8").strip()
    opened = ["# The evidence: does alignment pay?"]
    written = "<!-- Written by `make evidence`; the text below the heading is benchmarks/evidence/findings.md. -->"
    if second is None:
        parts = [*opened, written, findings, *_targets(main), *_details(main, ablation, longer)]
    else:
        written = (
            "<!-- Written by `make evidence`; the text of the first protocol is benchmarks/evidence/findings.md. -->"
        )
        parts = [*opened, written, second.opening, second.text, "## The first protocol"]
        if second.judged:
            short = findings.partition("\n\n")[0]
            parts += [short, *_targets(main), *_pictures(main)]
        else:
            parts += [findings, *_targets(main), *_details(main, ablation, longer)]
    return "\n\n".join([*parts, "## How it was run", _how(main, ablation, longer)]) + "\n"


def _targets(main: Compared) -> Iterator[str]:
    yield "## Targets of the protocol"
    yield (
        "The numbers are those of the claims in [the protocol](protocol.md). Ratios are ours / rival: geometric means "
        f"over {len(main.plan.seeds)} seeds, with 95 % intervals."
    )
    yield markdown_table(
        ("claim", "task", "against", "figure", "result", "interval", "target", ""), map(_verdict, verdicts(main))
    )


def _pictures(main: Compared) -> Iterator[str]:
    for task in main.plan.tasks:
        yield _picture(task)


def _details(main: Compared, ablation: Compared, longer: Compared) -> Iterator[str]:
    for task in main.plan.tasks:
        yield from _task(main, task)
    yield "## What each part is worth"
    yield (
        "Ours, and variants with one part taken out or added. Ratios are ours / the variant: a ratio below 1 means "
        "that the part pays. The setting is the same for all. Nothing is tuned."
    )
    for task in ablation.plan.tasks:
        yield from _ablation(ablation, task)
    yield "## Longer runs"
    yield (
        "These runs are not in the protocol. They were made after its results were known. Alignments that missed the "
        "targets in the protocol's rounds got twice as many rounds. Settings and targets are the same."
    )
    for task in longer.plan.tasks:
        yield from _longer(main, longer, task)


def _verdict(one: Verdict) -> Sequence[str]:
    seen = (f"{one.seen.value:.3f}", _interval(one.seen))
    return str(one.number), one.task, one.rival, one.figure, *seen, one.limit, "holds" if one.holds else "**fails**"


def _task(main: Compared, task: str) -> Iterator[str]:
    figures = [one for one in main.figures if one.task == task]
    yield f"## {task}"
    if task in VISIBLE:
        yield "There are as many domains as experts. This favours any method that groups clients by their data."
    yield _picture(task)
    targets = _target_names(main.plan)
    yield "Restricted mean rounds to the targets (with the share of runs that reached them), and final accuracies."
    yield markdown_table(
        ("alignment", "setting", *(f"rounds to {target}" for target in targets), *FIGURES),
        (
            (one.alignment, one.setting, *_times(one, "round", main.plan.targets), *_levels(one, FIGURES))
            for one in figures
        ),
    )
    yield "Simulated seconds and megabytes to the targets; variation of load between experts; fitness regret."
    yield markdown_table(
        (
            *("alignment", *(f"seconds to {target}" for target in targets), *(f"MB to {target}" for target in targets)),
            *("assigned", "completed", "completed, whole run", "examples, whole run", "regret"),
        ),
        (
            (
                one.alignment,
                *(f"{one.times[target, 'seconds'].mean:.0f}" for target in main.plan.targets),
                *(f"{one.times[target, 'bytes'].mean / 1e6:.1f}" for target in main.plan.targets),
                *_levels(one, LOADS),
            )
            for one in figures
        ),
    )
    yield "Ours against the others: ratios of times and bytes, differences of accuracy (p after Holm's correction)."
    yield _against([one for one in main.comparisons if one.task == task])


def _picture(task: str) -> str:
    return f"![Accuracy of the alignments on {task} by round](evidence/{task}.svg)"


def _ablation(ablation: Compared, task: str) -> Iterator[str]:
    yield f"### {task}"
    found = {(one.rival, one.figure): one for one in ablation.comparisons if one.task == task}
    targets = _target_names(ablation.plan)
    rows = []
    for one in (one for one in ablation.figures if one.task == task):
        ratios = [_ratio(found.get((one.alignment, f"round to {target}"))) for target in targets]
        times = _times(one, "round", ablation.plan.targets)
        rows.append(
            (one.alignment, *times, *ratios, *_levels(one, (*FIGURES[:2], "assigned_cv", "completed_cv_total")))
        )
    head = ("variant", *(f"rounds to {target}" for target in targets), *(f"ratio to {target}" for target in targets))
    yield markdown_table((*head, "accuracy", "personalised", "assigned", "completed, whole run"), rows)


def _longer(main: Compared, longer: Compared, task: str) -> Iterator[str]:
    """Yield the results of longer runs for the targets that the reference set in the protocol's rounds."""
    yield f"### {task}, {len(longer.runs[task, longer.plan.ours][0]['round'])} rounds"
    (reference,) = (one for one in main.figures if (one.task, one.alignment) == (task, main.plan.reference))
    targets = [target * reference.levels["accuracy"] for target in main.plan.targets]
    times = {
        alignment: [times_to(target, longer.runs[task, alignment], "round") for target in targets]
        for alignment in longer.plan.alignments
    }
    ours, rows = times[longer.plan.ours], []
    for alignment, theirs in times.items():
        ratios = [paired_ratio(a.restricted, b.restricted) for a, b in zip(ours, theirs, strict=True)]
        told = [_estimate(each) if alignment != longer.plan.ours else "–" for each in ratios]
        rows.append((alignment, *map(time_text, theirs), *told))
    names = _target_names(main.plan)
    head = ("alignment", *(f"rounds to {name}" for name in names), *(f"ratio to {name}" for name in names))
    yield markdown_table(head, rows)


def _against(compared: Sequence[Comparison]) -> str:
    figures = list(dict.fromkeys(one.figure for one in compared))
    rivals = list(dict.fromkeys(one.rival for one in compared))
    found = {(one.rival, one.figure): one for one in compared}
    rows = [(rival, *(_ratio(found[rival, figure]) for figure in figures)) for rival in rivals]
    return markdown_table(("against", *(figure.replace("round to", "rounds to") for figure in figures)), rows)


def _how(*compared: Compared) -> str:
    every = {path.name for each in compared for path in each.cells}
    judged = [run for each in compared for runs in each.runs.values() for run in runs]
    hours = sum(float(run["round_seconds"].sum()) for run in judged) / 3600
    return (
        f"{len(every)} runs were made, including those for tuning. The {len(judged)} judged runs took {hours:.1f} "
        "hours of wall-clock time; several ran at the same time. The raw rows are in "
        "`benchmarks/results/evidence.csv.gz`, one for each round of each run. `make evidence` runs only what is "
        "missing there, and writes this page."
    )


def _target_names(plan: Plan) -> list[str]:
    return [f"{100 * target:g} %" for target in plan.targets]


def _times(one: Figures, clock: str, targets: Iterable[float]) -> list[str]:
    return [time_text(one.times[target, clock]) for target in targets]


def _levels(one: Figures, names: Iterable[str]) -> list[str]:
    return [mean_text(one.levels[name]) for name in names]


def _ratio(one: Comparison | None) -> str:
    if one is None:
        return "–"
    p = "" if math.isnan(one.p) else f" ({one.p:.2g})"
    return f"{_estimate(one.result)}{p}"


def _estimate(seen: Estimate) -> str:
    return f"{seen.value:.3f} [{_interval(seen)}]"


def _interval(seen: Estimate) -> str:
    return f"{seen.low:.3f} to {seen.high:.3f}"
