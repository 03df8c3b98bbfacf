"""The part of docs/evidence.md about the second protocol, from its rows alone.

Only finished studies are judged and shown. The others are named with the number of their runs so far.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.evidence.second import tables
from benchmarks.evidence.second.advice import advice
from benchmarks.evidence.second.claims import STUDIES, claims_of
from benchmarks.evidence.second.figures import percent
from benchmarks.evidence.second.judge import Claim, Judged
from benchmarks.evidence.second.pictures import draw_accuracy
from benchmarks.evidence.second.plan import Protocol
from benchmarks.evidence.second.progress import Done, finished, progress
from benchmarks.evidence.second.row import Row
from benchmarks.evidence.second.tuning import Tuning
from fedtrain.compare.tables import markdown_table

OPEN = "open"
EDGE = "†"
PERSONAL = ("natural",)
"""Tasks whose personalised accuracy is measured often enough to count rounds by it, too."""
TIMES = (
    "Mean rounds, simulated seconds and megabytes to the targets. A run that never reaches its target counts with its "
    "last round; the share of runs that reached it is in brackets. Bytes and seconds include probes."
)


class Part(NamedTuple):
    """What the second protocol adds to the page.

    Attributes
    ----------
    opening
        The first paragraph.
    text
        The sections, each with a heading.
    judged
        Whether a study is finished, so that the part has results.
    """

    opening: str
    text: str
    judged: bool


def write_part(protocol: Protocol, kept: Mapping[str, Row], docs: Path) -> Part | None:
    """Return the part of the page, and draw its pictures under ``docs/evidence``; None until a study is finished.

    Runs come in pieces, over days. Until there is a result the page says what the first protocol found.
    """
    tuning = Tuning(protocol, kept)
    judged = finished(Judged.by(tuning))
    if not judged.rows:
        return None
    pictures = docs / "evidence"
    pictures.mkdir(exist_ok=True)
    for task in _tasks(judged, "headline"):
        draw_accuracy(judged, task, pictures / f"second-{task}.svg")
    return part(tuning)


def part(tuning: Tuning) -> Part:
    """Return the part of the page from the rows that a tuning knows; their order does not matter."""
    every = Judged.by(tuning)
    done, judged = progress(every), finished(every)
    claims = claims_of(judged)
    sections = (
        *_missing(done),
        *_claims(claims, done),
        *_headline(judged),
        *_natural(judged),
        *_language(judged),
        *_further(judged),
        *_ablation(judged),
        *_verdicts(judged),
        *_constants(judged),
        *_rates(tuning),
        "## How the second protocol was run",
        _how(tuning.rows, done),
    )
    return Part(advice(judged, claims), "\n\n".join(sections), bool(judged.rows))


def _missing(done: Sequence[Done]) -> Iterator[str]:
    left = [one for one in done if not one.finished]
    if left:
        yield "## What is missing"
        yield (
            f"**The second protocol is unfinished: {sum(one.done for one in done)} of "
            f"{sum(one.planned for one in done)} runs for judging are there.** Nothing below is judged or shown from a "
            "study that is not finished."
        )
        yield markdown_table(
            ("unfinished study", "runs", "planned"), [(one.study, str(one.done), str(one.planned)) for one in left]
        )


def _claims(claims: Sequence[Claim], done: Sequence[Done]) -> Iterator[str]:
    left = {one.study: one for one in done if not one.finished}
    lines = []
    for number, studies in STUDIES.items():
        lines += [_claim(one) for one in claims if one.number == number]
        lines += [
            (str(number), f"study {study}", *["–"] * 4, f"not judged: {left[study].told}")
            for study in studies
            if study in left
        ]
    yield "## Claims of the second protocol"
    yield (
        "The claims are those of [the second protocol](protocol-2.md). The worse end of the 95 % interval counts, "
        "unless the target is one for the point. p is one-sided against the target, after Holm's correction for all "
        f"{sum(not math.isnan(one.p) for one in claims)} of these p values. A run that diverged counts as one that "
        "never reached its target, with accuracy 0."
    )
    yield markdown_table(("claim", "figure", "target", "result", "interval", "p", ""), lines)


def _claim(one: Claim) -> Sequence[str]:
    target = f"at {'most' if one.below else 'least'} {one.limit:g}{' (point)' if one.point else ''}"
    digits = 4 if abs(one.limit) < 0.05 else 3
    value, low, high = (f"{number:.{digits}f}" for number in one.seen[:3])
    p = "–" if math.isnan(one.p) else f"{one.p:.2g}"
    return str(one.number), one.about, target, value, f"{low} to {high}", p, "reached" if one.holds else "**fails**"


def _headline(judged: Judged) -> Iterator[str]:
    for task in _tasks(judged, "headline"):
        yield f"## {task}, second protocol"
        yield f"![Accuracy of the alignments on {task} by round, second protocol](evidence/second-{task}.svg)"
        yield TIMES
        yield tables.headline_table(judged, task)
        yield from _risks(judged, task)


def _natural(judged: Judged) -> Iterator[str]:
    for task in _tasks(judged, "natural"):
        yield f"## {task}"
        yield TIMES
        yield tables.headline_table(judged, task)
        yield from _risks(judged, task)
        if task in PERSONAL:
            yield "Times to the same shares of the reference's personalised accuracy:"
            yield tables.headline_table(judged, task, "personal")
            yield from _risks(judged, task, "personal")


def _language(judged: Judged) -> Iterator[str]:
    for task in (*_tasks(judged, "olmoe"), *_tasks(judged, "olmoe-lora")):
        yield f"## {task}"
        yield "Final losses in nats, and bytes of the whole run. They are means of the runs that did not diverge."
        yield tables.language_table(judged, task)


def _further(judged: Judged) -> Iterator[str]:
    tasks = _tasks(judged, "further")
    if tasks:
        yield "## Further tasks"
    for task in tasks:
        yield f"### {task}, further task"
        yield tables.short_table(judged, task)
        yield from _risks(judged, task)


def _ablation(judged: Judged) -> Iterator[str]:
    for task in _tasks(judged, "ablation"):
        yield f"## What each part is worth: {task}"
        yield (
            "Ours, and variants without one part; without the fitness it is `random-balanced`. Ratios are ours / the "
            "variant, so a ratio below 1 means that the part pays."
        )
        yield tables.ablation_table(judged, task)


def _verdicts(judged: Judged) -> Iterator[str]:
    tasks = _tasks(judged, "verdicts")
    if not tasks:
        return
    right, number = judged.verdicts(tasks, judged.protocol.ours)
    others = [*_tasks(judged, "headline"), *_tasks(judged, "further")]
    head = ("task", "contradiction", "right", "said after round 5 (runs)")
    yield "## Verdicts"
    yield f"After round 5 the verdict is right in {right} of {number} runs of the tasks made for this question:"
    yield markdown_table(head, tables.verdict_lines(judged, tasks))
    lines = list(tables.verdict_lines(judged, others))
    if lines:
        yield "The verdicts on the other tasks, which the claim does not count:"
        yield markdown_table(head, lines)


def _constants(judged: Judged) -> Iterator[str]:
    table = tables.constants_table(judged)
    if table:
        yield "## Other values of the constants"
        yield (
            "Each constant has another value than the frozen one. Rounds are ratios to those with the frozen value; "
            "accuracies are differences from it. Verdicts are those after round 5."
        )
        yield table


def _rates(tuning: Tuning) -> Iterator[str]:
    protocol = tuning.protocol
    pairs = list(protocol.pairs())
    tasks = list(dict.fromkeys(task for task, _ in pairs))
    names = list(dict.fromkeys(name for _, name in pairs))
    lines = [
        (name, *(_setting(tuning, task, name) if (task, name) in pairs else "" for task in tasks)) for name in names
    ]
    yield "## Chosen settings"
    yield (
        f"The learning rate that tuning chose, with the weight of the auxiliary loss in brackets. {EDGE} marks a rate "
        f"at an edge of its task's values. A pair whose tuning is not finished is {OPEN}."
    )
    yield markdown_table(("alignment", *tasks), lines)


def _setting(tuning: Tuning, task: str, name: str) -> str:
    chosen = tuning.chosen(task, name)
    if chosen is None:
        return OPEN
    training, rates = tuning.protocol.settings(task)[chosen]["training"], tuning.protocol.tasks[task].rates
    rate = training["learning_rate"]
    edge = f" {EDGE}" if len(rates) > 1 and rate in (min(rates), max(rates)) else ""
    return f"{rate:g} ({training['auxiliary_loss']:g}){edge}"


def _how(kept: Mapping[str, Row], done: Sequence[Done]) -> str:
    hours = math.fsum(row.cpu for row in kept.values()) / 3600.0
    failed = sum(row.outcome != "finished" for row in kept.values())
    return (
        f"{len(kept)} runs are kept, those for tuning included; {failed} of them diverged. "
        f"{sum(one.done for one in done)} of {sum(one.planned for one in done)} runs for judging are there. All took "
        f"{hours:.1f} hours of a processor. The rows are in `benchmarks/results/evidence-2.csv.gz`, one for each run, "
        "and `make evidence` writes this page from them."
    )


def _risks(judged: Judged, task: str, measure: str = "accuracy") -> Iterator[str]:
    table = tables.risk_table(judged, task, measure)
    if table:
        yield f"Runs that have not reached {percent(max(judged.protocol.targets))} before each tenth round:"
        yield table


def _tasks(judged: Judged, study: str) -> list[str]:
    """Return the tasks of a study, in the order of the plan, that have rows of ours or of the reference."""
    if study not in judged.protocol.studies:
        return []
    about = judged.protocol.studies[study]
    return [task for task in about.tasks if any((task, name) in judged.rows for name in about.alignments)]
