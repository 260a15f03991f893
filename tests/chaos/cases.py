"""Which cases there are: the quick ones in every run of `.ci/run`, the full ones where there is time."""

import changes
import crowds
import deaths
import disks
import secure
from keepers import Alone, Managed


def quick():
    points = [(when, number, "accepts") for number in (1, 3, 5, 7) for when in ("before", "after")]
    return [
        ("a caller with the AI lives through kill -9", deaths.with_ai),
        ("bridged calls live through kill -9, 2 rounds", deaths.rounds(4, [2.0, 2.0])),
        ("8 points of a transfer", deaths.points(points)),
        ("a service manager holds the sockets", deaths.rounds(2, [2.0], kind=Managed)),
        ("nobody holds the sockets", deaths.rounds(2, [2.0], kind=Alone, bars=None)),
        ("another program takes over, SIGUSR2", deaths.upgrade(3, 4, 1)),
        ("another program that does not come up", changes.broken_program),
        ("a call that kills its recovery", deaths.poison),
        ("registered phones are known afterwards", deaths.registered),
        ("another configuration, SIGHUP", changes.reload),
        ("another certificate, SIGHUP", secure.renewed),
        ("no new calls, drain", changes.drain),
    ]


def full():
    # A caller whose AE accepts is written down 15 times or so, one whose AE is busy and whose second one accepts more often: there from the refusal on.
    lines = [(number, "accepts") for number in range(1, 15)] + [(number, "declines") for number in range(7, 17)]
    every = [(when, number, story) for number, story in lines for when in ("before", "after")]
    return [
        ("a caller with the AI lives through kill -9", deaths.with_ai),
        ("bridged calls live through kill -9, 20 rounds", deaths.rounds(100, [10.0] * 20)),
        ("bridged calls live through kill -9, a minute", deaths.rounds(100, [60.0])),
        ("48 points of a transfer, twice", deaths.points(every, times=2, idle=0.1)),
        ("SIGSTOP for three seconds", deaths.stopped),
        ("a service manager holds the sockets", deaths.rounds(50, [5.0, 5.0], kind=Managed)),
        ("a service manager starts another program", deaths.rounds(50, [5.0, 5.0], how="swap", kind=Managed)),
        ("nobody holds the sockets", deaths.rounds(50, [5.0], kind=Alone, bars=None)),
        ("another program takes over, SIGUSR2", deaths.upgrade(50, 25, 4)),
        ("another program that does not come up", changes.broken_program),
        ("a call that kills its recovery", deaths.poison),
        ("registered phones are known afterwards", deaths.registered),
        ("another configuration, SIGHUP", changes.reload),
        ("another certificate, SIGHUP", secure.renewed),
        ("no new calls, drain", changes.drain),
        ("a full disk", disks.full),
        ("a slow disk", disks.slow),
        ("a bad network, 5 in 100 lost", crowds.weather(0.05, 0.03)),
        (crowds.AS_IT_IS, crowds.weather(0.0, 0.0)),
        ("a bad network, made by the kernel", crowds.netem),
        ("a flood of INVITEs from strangers", crowds.flood),
        ("ten times as many calls as it can have", crowds.overload(10, 10)),
    ]


def all_of(how):
    return quick() if how == "quick" else full()
