"""The claims of docs/protocol-2.md, each judged on the rows that it speaks of; tasks without rows are left out."""

from collections.abc import Iterator

import numpy as np

from benchmarks.evidence.second.figures import percent
from benchmarks.evidence.second.judge import Claim, Judged, Seen, claim, corrected, own_loss_at, sent_by
from fedtrain.compare.statistics import paired_difference

VISIBLE = ("digits-visible", "letters-visible")
NOTHING_TO_GAIN = ("digits-skewed", "glyphs", "text", "one-domain")
CHANGED = ("domains-4", "domains-12", "domains-16", "drift", "late-joiners")
WITHOUT_UPDATES = (
    *("random", "random-balanced", "rolling", "topk", "oort", "flex-moe", "hfedmoe", "spes"),
    *("fedamole", "fedamole-fresh", "ifca", "pfedmm", "pfedmm-held"),
)
"""Rivals that see no single updates."""
RIVALS = (*WITHOUT_UPDATES, "clustered")
STUDIES = {
    **{1: ("headline", "natural"), 2: ("headline", "probes"), 3: ("headline", "further"), 4: ("verdicts",)},
    **{5: ("further",), 6: ("headline", "few-clients"), 7: ("headline",), 8: ("olmoe", "olmoe-lora")},
}
"""The studies whose runs a claim is judged from, by its number."""
LOADS = {"assigned_cv": "variation of load in a round", "completed_cv": "variation of load over the run"}


def claims_of(judged: Judged) -> list[Claim]:
    """Judge all claims whose tasks have rows, in their order; p values are corrected together."""
    every = (_visible, _hidden, _harmless, _verdicts, _changed, _few, _loads, _language)
    return corrected([one for judge in every for one in judge(judged)])


def _has(judged: Judged, task: str, *alignments: str) -> bool:
    return all((task, name) in judged.rows for name in (judged.protocol.reference, *alignments))


def _visible(judged: Judged) -> Iterator[Claim]:
    for task, ours, measure in (
        *((task, "ours", "accuracy") for task in VISIBLE),
        ("natural", "ours-personal", "personal"),
    ):
        if not _has(judged, task, ours, "random", "fedamole", "oracle"):
            continue
        for target in judged.protocol.targets:
            seen = judged.ratio(task, ours, "random", target, measure=measure)
            yield claim(1, f"{task}: rounds to {percent(target)}, to random's", seen, 0.65, below=True, ratio=True)
        far = max(judged.protocol.targets)
        seen = judged.ratio(task, ours, "fedamole", far, measure=measure)
        yield claim(1, f"{task}: rounds to {percent(far)}, to fedamole's", seen, 0.90, below=True, point=True)
        yield claim(1, f"{task}: rounds to {percent(far)}, to fedamole's", seen, 1.0, below=True, ratio=True)
        seen = judged.ratio(task, ours, "oracle", far, measure=measure)
        yield claim(1, f"{task}: rounds to {percent(far)}, to the oracle's", seen, 1.2, below=True, point=True)


def _hidden(judged: Judged) -> Iterator[Claim]:
    task, ours = "digits-hidden", "ours-personal"
    if not _has(judged, task, ours, "random", "clustered", "ifca"):
        return
    best = judged.best(task, WITHOUT_UPDATES, "personal")
    for rival, limit, name in (
        (best, 0.15, f"the best rival's ({best})"),
        ("clustered", 0.0, "clustered's"),
        ("ifca", 0.0, "ifca's"),
    ):
        seen = judged.difference(task, ours, rival, "personal")
        yield claim(2, f"{task}: personalised accuracy above {name}", seen, limit, below=False)
    seen = judged.difference(task, "ours", "random", "accuracy")
    yield claim(2, f"{task}: accuracy above random's", seen, -0.03, below=False)


def _harmless(judged: Judged) -> Iterator[Claim]:
    far = max(judged.protocol.targets)
    for task in NOTHING_TO_GAIN:
        if not _has(judged, task, "ours", "ours-personal", "random"):
            continue
        seen = judged.ratio(task, "ours", "random", far)
        yield claim(3, f"{task}: rounds to {percent(far)}, to random's", seen, 1.10, below=True, ratio=True)
        for ours, level, name in (
            ("ours", "accuracy", "accuracy of ours"),
            ("ours-personal", "personal", "personalised accuracy of ours-personal"),
        ):
            seen = judged.difference(task, ours, "random", level)
            yield claim(3, f"{task}: {name} above random's", seen, -0.01, below=False)


def _verdicts(judged: Judged) -> Iterator[Claim]:
    right, number = judged.verdicts(judged.protocol.studies["verdicts"].tasks, judged.protocol.ours)
    if number:
        share = right / number
        margin = 1.959964 * float(np.sqrt(share * (1.0 - share) / number))
        seen = Seen(share, share - margin, share + margin, number)
        yield claim(4, f"share of right verdicts after round 5, {number} runs", seen, 0.95, below=False, point=True)


def _changed(judged: Judged) -> Iterator[Claim]:
    far = max(judged.protocol.targets)
    for task in CHANGED:
        if _has(judged, task, "ours"):
            rival = judged.fastest(task, RIVALS, far)
            seen = judged.ratio(task, "ours", rival, far)
            yield claim(5, f"{task}: rounds to {percent(far)}, to {rival}'s", seen, 1.05, below=True, point=True)


def _few(judged: Judged) -> Iterator[Claim]:
    task, ours, far = "ten-of-100", "ours-fresh", max(judged.protocol.targets)
    if _has(judged, task, ours, "fedamole", "fedamole-fresh"):
        for rival, limit in (("fedamole", 0.85), ("fedamole-fresh", 1.0)):
            seen = judged.ratio(task, ours, rival, far)
            yield claim(6, f"{task}: rounds to {percent(far)}, to {rival}'s", seen, limit, below=True, ratio=True)


def _loads(judged: Judged) -> Iterator[Claim]:
    far = max(judged.protocol.targets)
    for task in VISIBLE:
        if not _has(judged, task, "ours", "random"):
            continue
        for level, limit in (("assigned_cv", 0.10), ("completed_cv", 0.005)):
            yield claim(7, f"{task}: {LOADS[level]}", judged.mean(task, "ours", level), limit, below=True)
        seen = judged.ratio(task, "ours", "random", far, "bytes")
        yield claim(7, f"{task}: bytes to {percent(far)}, to random's", seen, 0.6, below=True, ratio=True)


def _language(judged: Judged) -> Iterator[Claim]:
    for task, ours in (("olmoe", "ours-personal"), ("olmoe-lora", "ours-sums")):
        for rival in ("random", "fedamole"):
            if (task, ours) in judged.rows and (task, rival) in judged.rows:
                mine, theirs = judged.paired(task, ours, rival)
                rounds = judged.protocol.tasks[task].rounds
                ends = [min(sent_by(a, rounds), sent_by(b, rounds)) for a, b in zip(mine, theirs, strict=True)]
                losses = [
                    np.array([own_loss_at(row, end) for row, end in zip(rows, ends, strict=True)])
                    for rows in (mine, theirs)
                ]
                seen = Seen.of(paired_difference(*losses), len(ends))
                yield claim(8, f"{task}: loss on own text after the same bytes, less {rival}'s", seen, 0.0, below=True)
