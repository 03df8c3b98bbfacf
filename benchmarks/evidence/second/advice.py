"""The first paragraph of the evidence, for a practitioner: five sentences, each chosen by what the figures say.

The sentences answer in this order: when to use ``goal="global"``, when to use ``goal="personal"``, what is gained, what
it costs, when not to bother. A gain is told as one only if its 95 % interval shows it. A target that fails is told.
"""

from collections.abc import Iterable, Sequence

from benchmarks.evidence.second.claims import NOTHING_TO_GAIN, VISIBLE, WITHOUT_UPDATES
from benchmarks.evidence.second.figures import percent
from benchmarks.evidence.second.judge import Claim, Judged, Seen

GLOBAL, PERSONAL = '`goal="global"`', '`goal="personal"`'
HIDDEN = "digits-hidden"
RANDOM = "random's"


def advice(judged: Judged, claims: Sequence[Claim]) -> str:
    """Return the paragraph.

    Parameters
    ----------
    judged
        The rows of finished studies.
    claims
        The claims that were judged from them.
    """
    sentences = (
        _global(judged, claims),
        _personal(judged, claims),
        _gain(judged, claims),
        _cost(judged),
        _no_use(judged),
    )
    return " ".join(sentences)


def _global(judged: Judged, claims: Sequence[Claim]) -> str:
    seen = {task: judged.ratio(task, "ours", "random", _far(judged)) for task in _known(judged, VISIBLE)}
    if not seen:
        return f"When to use {GLOBAL} is not known yet, because the visible tasks are not finished."
    faster = {task: one for task, one in seen.items() if one.high < 1.0}
    others = {task: one for task, one in seen.items() if task not in faster}
    about = [one for one in claims if one.number == 1 and "random" in one.about and one.about.startswith(VISIBLE)]
    rounds = f"where clients contradict each other visibly, since its rounds to {percent(_far(judged))}"
    if not others:
        told = f"Use {GLOBAL} {rounds} are {_each(faster, RANDOM)}"
    elif not faster:
        told = f"Do not count on {GLOBAL} {rounds} are not surely fewer than random's: {_each(others, 'these')}"
    else:
        told = f"Try {GLOBAL} {rounds} are {_each(faster, RANDOM)}; not surely fewer are {_each(others, RANDOM)}"
    return f"{told}; {_targets(about)}."


def _personal(judged: Judged, claims: Sequence[Claim]) -> str:
    rivals = _with_rows(judged, HIDDEN, WITHOUT_UPDATES)
    if (HIDDEN, "ours-personal") not in judged.rows or not rivals:
        return f"When to use {PERSONAL} is not known yet, because `{HIDDEN}` is not finished."
    best = judged.best(HIDDEN, rivals, "personal")
    seen = judged.difference(HIDDEN, "ours-personal", best, "personal")
    level = judged.mean(HIDDEN, "ours-personal", "personal").value
    if seen.low > 0.0:
        start, told = "Use", f"{seen.value:.3f} above"
    elif seen.high < 0.0:
        start, told = "Do not use", f"{-seen.value:.3f} below"
    else:
        start, told = "Do not count on", f"not surely apart ({seen.value:+.3f}) from"
    return (
        f"{start} {PERSONAL} where the contradiction does not show, since its personalised accuracy on `{HIDDEN}` is "
        f"{level:.3f}, which is {told} that of `{best}`, its best rival; "
        f"{_targets([one for one in claims if one.number == 2])}."
    )


def _gain(judged: Judged, claims: Sequence[Claim]) -> str:
    if not claims:
        return "What is gained is not known yet, because no claim is judged."
    failed = [one for one in claims if not one.holds]
    numbers = sorted({one.number for one in failed})
    told = f"{len(claims) - len(failed)} of {len(claims)} judged targets are reached"
    if failed:
        told += f", and {len(failed)} fail, in {'claim' if len(numbers) == 1 else 'claims'} {_and(map(str, numbers))}"
    parts: list[str] = []
    for rival, words in (("fedamole", "`fedamole`'s"), ("oracle", "the oracle's")):
        tasks = [task for task in _known(judged, VISIBLE) if (task, rival) in judged.rows]
        if tasks:
            seen = {task: judged.ratio(task, "ours", rival, _far(judged)) for task in tasks}
            what = "they" if parts else f"rounds to {percent(_far(judged))}"
            parts.append(f"{what} are {_each(seen, words)}")
    return f"{'; '.join([told, *parts])}."


def _cost(judged: Judged) -> str:
    sent = {task: judged.ratio(task, "ours", "random", _far(judged), "bytes") for task in _known(judged, VISIBLE)}
    if not sent:
        return "What it costs is not known yet, because the visible tasks are not finished."
    if all(one.high < 1.0 for one in sent.values()):
        word = "It saves bytes"
    elif any(one.low > 1.0 for one in sent.values()):
        word = "It costs bytes"
    else:
        word = "It does not surely save bytes"
    told = f"{word}: to {percent(_far(judged))} it sends {_each(sent, RANDOM)}; the server has to see single updates"
    if (HIDDEN, "ours-personal") in judged.rows and (HIDDEN, "random") in judged.rows:
        seen = judged.difference(HIDDEN, "ours-personal", "random", "accuracy")
        told += f", and {PERSONAL} changes the whole model's accuracy on `{HIDDEN}` by {seen.value:+.3f} {_range(seen)}"
    return f"{told}."


def _no_use(judged: Judged) -> str:
    tasks = _known(judged, NOTHING_TO_GAIN)
    if not tasks:
        return "When not to bother is not known yet, because no task without contradiction is finished."
    seen = {task: judged.ratio(task, "ours", "random", _far(judged)) for task in tasks}
    lost = {task: judged.difference(task, "ours", "random", "accuracy") for task in tasks}
    harmed = [task for task in tasks if seen[task].high > 1.10 or lost[task].low < -0.01]
    gained = {task: seen[task] for task in tasks if task not in harmed and seen[task].high < 1.0}
    if harmed:
        worst = max(harmed, key=lambda task: seen[task].high)
        told = (
            f"Do not use {GLOBAL} where clients agree, since it may be worse than random on {_names(harmed)}; "
            f"its rounds are {_each({worst: seen[worst]}, RANDOM)}, and its accuracy differs by "
            f"{lost[worst].value:+.3f} there"
        )
    elif gained:
        fewest = min(one.value for one in gained.values())
        told = (
            f"Even where clients agree {GLOBAL} can pay, since its rounds are fewer than random's on {_names(gained)}, "
            f"down to {fewest:.2f} of these"
        )
    else:
        slowest = max(one.value for one in seen.values())
        told = (
            f"Do not bother with {GLOBAL} where clients agree ({_names(tasks)}), since it neither gains nor harms, and "
            f"takes at most {slowest:.2f} of random's rounds"
        )
    return f"{told}; {_own(judged, tasks)}."


def _own(judged: Judged, tasks: Sequence[str]) -> str:
    """Tell what the personal goal does to personalised accuracy on tasks."""
    known = [task for task in tasks if (task, "ours-personal") in judged.rows]
    apart = {task: judged.difference(task, "ours-personal", "random", "personal") for task in known}
    better = [task for task, one in apart.items() if one.low > 0.0]
    worse = [task for task, one in apart.items() if one.high < 0.0]
    if worse:
        return f"{PERSONAL} lowers the personalised accuracy on {_names(worse)}"
    if better:
        least = min(apart[task].value for task in better)
        return f"{PERSONAL} raises the personalised accuracy on {_names(better)}, by {least:.3f} or more"
    return f"{PERSONAL} does not surely change the personalised accuracy there"


def _far(judged: Judged) -> float:
    return max(judged.protocol.targets)


def _known(judged: Judged, tasks: Iterable[str]) -> list[str]:
    needed = (judged.protocol.reference, "random", "ours")
    return [task for task in tasks if all((task, name) in judged.rows for name in needed)]


def _with_rows(judged: Judged, task: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if (task, name) in judged.rows]


def _targets(claims: Sequence[Claim]) -> str:
    """Tell whether targets are reached."""
    failed = sum(not one.holds for one in claims)
    if not claims:
        return "its targets are not judged yet"
    return f"{failed} of its {len(claims)} targets fail" if failed else f"its {len(claims)} targets are reached"


def _each(seen: dict[str, Seen], whose: str) -> str:
    return _and(f"{one.value:.2f} of {whose} {_range(one)} on `{task}`" for task, one in seen.items())


def _range(seen: Seen) -> str:
    return f"({seen.low:.2f} to {seen.high:.2f})"


def _names(tasks: Iterable[str]) -> str:
    return _and(f"`{task}`" for task in tasks)


def _and(parts: Iterable[str]) -> str:
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} and {last}" if first else last
