"""The tables of the second protocol's page, from the rows of finished studies."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.evidence.second.figures import at_risk, final, percent
from benchmarks.evidence.second.judge import Judged, Seen, levels
from benchmarks.evidence.second.row import Row
from fedtrain.compare.tables import markdown_table, mean_text, time_text

STEP = 10
"""Rounds between two counts of the runs at risk."""
UNKNOWN = "–"


def names_of(judged: Judged, task: str) -> list[str]:
    """Return the alignments of a task that have rows, without the values of constants, in the order of the plan."""
    known = [name for name in judged.protocol.alignments if (task, name) in judged.rows]
    values = {name for study, one in judged.protocol.studies.items() if is_constant(study) for name in one.alignments}
    return [name for name in known if name not in values]


def is_constant(study: str) -> bool:
    """Whether a study has the other values of a constant."""
    return study.startswith("constant-")


def headline_table(judged: Judged, task: str, measure: str = "accuracy") -> str:
    """Return all figures of a task, a line for each alignment."""
    near, far = min(judged.protocol.targets), max(judged.protocol.targets)
    lines = []
    for name in names_of(judged, task):
        rows = judged.rows[task, name]
        (soon,), (late,) = (judged.times(task, (name,), target, "rounds", measure) for target in (near, far))
        (clock,) = judged.times(task, (name,), far, "seconds", measure)
        (sent,) = judged.times(task, (name,), far, "bytes", measure)
        known = levels(rows)
        lines.append(
            (
                name,
                *(time_text(soon), time_text(late), f"{clock.mean:.0f}", f"{sent.mean / 1e6:.1f}"),
                *(mean_text(known[level]) for level in ("area", "accuracy", "personal", "worst")),
                *(f"{known[level].mean():.3f}" for level in ("assigned_cv", "completed_cv")),
                *(f"{known['probe_bytes'].mean() / 1e6:.1f}", diverged(rows)),
            )
        )
    head = (
        *(
            "alignment",
            f"rounds to {percent(near)}",
            f"rounds to {percent(far)}",
            f"seconds to {percent(far)}",
            f"MB to {percent(far)}",
        ),
        *("area", "global", "personalised", "worst", "load, a round", "load, the run", "MB of probes", "diverged"),
    )
    return markdown_table(head, lines)


def short_table(judged: Judged, task: str) -> str:
    """Return the main figures of a task, a line for each alignment."""
    far, lines = max(judged.protocol.targets), []
    for name in names_of(judged, task):
        (late,) = judged.times(task, (name,), far, "rounds", "accuracy")
        known = levels(judged.rows[task, name])
        figures = (mean_text(known[level]) for level in ("accuracy", "personal", "worst"))
        lines.append((name, time_text(late), *figures, diverged(judged.rows[task, name])))
    head = ("alignment", f"rounds to {percent(far)}", "global", "personalised", "worst", "diverged")
    return markdown_table(head, lines)


def language_table(judged: Judged, task: str) -> str:
    """Return the losses of a language model, a line for each alignment; runs that diverged are counted apart."""
    lines = []
    for name in names_of(judged, task):
        rows = judged.rows[task, name]
        ended = [row for row in rows if row.outcome == "finished"]
        losses = (
            mean_text(np.array([final(getattr(row, level)) for row in ended]))
            for level in ("loss", "personal", "worst", "accuracy")
        )
        sent = mean_text(np.array([row.bytes[-1] / 1e6 for row in ended]))
        loads = (
            mean_text(np.array([getattr(row, level) for row in rows])) for level in ("assigned_cv", "completed_cv")
        )
        lines.append((name, *losses, sent, *loads, diverged(rows)))
    head = (
        "alignment",
        "loss",
        "loss on own text",
        "worst client's",
        "accuracy",
        "MB",
        "load, a round",
        "load, the run",
    )
    return markdown_table((*head, "diverged"), lines)


def risk_table(judged: Judged, task: str, measure: str = "accuracy") -> str:
    """Return how many runs have not reached the highest target before each tenth round; empty if every run did."""
    about, far = judged.protocol.tasks[task], max(judged.protocol.targets)
    horizon, lines = about.rounds - about.drift_at, []
    rounds = range(STEP, horizon + 1, STEP)
    for name in names_of(judged, task):
        (times,) = judged.times(task, (name,), far, "rounds", measure)
        never = int((~times.reached_by).sum())
        if never:
            left = at_risk(times.restricted.tolist(), horizon)
            lines.append((name, *(str(left[number - 1]) for number in rounds), f"{never} of {len(times.reached_by)}"))
    return markdown_table(("alignment", *map(str, rounds), "never reached"), lines) if lines else ""


def ablation_table(judged: Judged, task: str) -> str:
    """Return ours and its variants with one part less; a ratio below 1 means that the part pays."""
    protocol, lines = judged.protocol, []
    for name in names_of(judged, task):
        times = [judged.times(task, (name,), target, "rounds", "accuracy")[0] for target in protocol.targets]
        against = name not in (protocol.ours, protocol.reference)
        ratios = [
            interval(judged.ratio(task, protocol.ours, name, target)) if against else UNKNOWN
            for target in protocol.targets
        ]
        rows = judged.rows[task, name]
        known = levels(rows)
        figures = (mean_text(known[level]) for level in ("accuracy", "personal", "assigned_cv", "completed_cv"))
        lines.append((name, *map(time_text, times), *ratios, *figures, diverged(rows)))
    targets = [f"{percent(target)}" for target in protocol.targets]
    head = ("variant", *(f"rounds to {target}" for target in targets), *(f"ratio to {target}" for target in targets))
    return markdown_table((*head, "global", "personalised", "load, a round", "load, the run", "diverged"), lines)


def constants_table(judged: Judged) -> str:
    """Return a line for each other value of each constant, against the frozen value; empty if there is none."""
    protocol, far, lines = judged.protocol, max(judged.protocol.targets), []
    for name, constant in protocol.constants.items():
        task, frozen = constant.task, constant.alignment
        if (task, frozen) not in judged.rows or (task, protocol.reference) not in judged.rows:
            continue
        for variant, value in zip(protocol.studies[f"constant-{name}"].alignments, constant.values, strict=True):
            if (task, variant) not in judged.rows:
                continue
            apart = (judged.difference(task, variant, frozen, level) for level in ("accuracy", "personal"))
            right = "{} of {}".format(*judged.verdicts((task,), variant))
            lines.append(
                (
                    *(f"`{constant.path}`", f"{constant.value:g}", f"{value:g}", task),
                    interval(judged.ratio(task, variant, frozen, far)),
                    *(interval(one) for one in apart),
                    *(right, diverged(judged.rows[task, variant])),
                )
            )
    head = (
        "constant",
        "frozen",
        "value",
        "task",
        f"rounds to {percent(far)}",
        "global",
        "personalised",
        "right verdicts",
    )
    return markdown_table((*head, "diverged"), lines) if lines else ""


def verdict_lines(judged: Judged, tasks: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield for each task whether its clients contradict each other, the right verdicts, and all that was said."""
    for task in tasks:
        rows = judged.rows.get((task, judged.protocol.ours), ())
        if rows:
            right, number = judged.verdicts((task,), judged.protocol.ours)
            said = sorted({row.verdict_5 for row in rows})
            counts = ", ".join(f"{one} ({sum(row.verdict_5 == one for row in rows)})" for one in said)
            yield task, "yes" if judged.protocol.tasks[task].conflict else "no", f"{right} of {number}", counts


def interval(seen: Seen) -> str:
    """Write a figure with its 95 % interval."""
    return f"{seen.value:.3f} [{seen.low:.3f} to {seen.high:.3f}]"


def diverged(rows: Sequence[Row]) -> str:
    """Write how many runs diverged."""
    failed = sum(row.outcome != "finished" for row in rows)
    return f"{failed} of {len(rows)}" if failed else "0"
