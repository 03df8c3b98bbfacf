"""Which sites are worth asking: one that let a round pass in silence is left out until it asks for a task again.

NVFlare lists a site that died for a minute or more, its simulator for ever, and every round would wait for it in vain.
Sites ask for tasks all the time when they have none. One that still works on its last one does not, and cannot take
another.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Presence:
    """What was heard of the sites.

    Attributes
    ----------
    absent
        Those that are left out.
    answered
        Those that sent some result in this round, of whatever kind: a failure too is a sign of life.
    """

    absent: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)

    def heard(self, site: str, *, answered: bool) -> None:
        """Note that a site asked for a task, or sent a result."""
        if answered:
            self.answered.add(site)
        else:
            self.absent.discard(site)

    def missed(self, sites: Iterable[str]) -> None:
        """Leave out those of these sites, from which no update came, that did not fail but were silent."""
        self.absent |= set(sites) - self.answered
