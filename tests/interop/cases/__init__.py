"""The interop cases. Each is a play of its own with a daemon of its own."""

from collections import namedtuple

Case = namedtuple("Case", "title play full_only needs alone")
CASES = []


def case(title, full_only=False, needs=("sipp",), alone=False):
    """Puts a play on the list; `needs` names the programs without which it cannot be played; one that is `alone` has the machine for itself."""
    def listed(play):
        CASES.append(Case(title, play, full_only, needs, alone))
        return play
    return listed
