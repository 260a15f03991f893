"""A daemon with its phones, and what every case looks at."""

import os
import resource
import time

from daemon import Daemon
from phones import Phones

# Whether the bars for gaps and times count: on a machine that does nothing else.
BARS = os.environ.get("CHAOS_BARS") == "1"


class Broken(Exception):
    """A promise was not kept."""


class Skipped(Exception):
    """It cannot be played here."""


def must(holds, what):
    if not holds:
        raise Broken(what)


def wait(what, condition, patience=40.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise Broken(f"waited {patience:.0f} s in vain: {what}")


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def milliseconds(gaps):
    """What is told of gaps."""
    middle, p99 = percentile(gaps, 0.5), percentile(gaps, 0.99)
    return f"gap at the caller median {middle * 1e3:.0f}, p99 {p99 * 1e3:.0f}, max {max(gaps) * 1e3:.0f} ms"


class Scene:
    """A daemon and its phones."""

    def __init__(self, program, folder, aes=1, self_test=None, extra="", kind=Daemon, start=None, **how):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
        self.phones = Phones(("127.0.0.1", 9))
        self.daemon = kind(program, folder, aes=aes, **how)
        self.phones.proxy = ("127.0.0.1", self.daemon.sip)
        self.daemon.write(self.phones, extra)
        self.phones.start()
        self.self_test, self.how = self_test, start or {}

    def __enter__(self):
        try:
            self.daemon.start(self.self_test, **self.how)
            self.daemon.ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.daemon.stop()
        self.phones.stop()

    def with_ai(self, number):
        """A caller who talks with the AI."""
        caller = self.phones.call(number)
        wait("the AI answers", lambda: caller.state == "up" and self.ai_of(number))
        caller.baton_call = self.ai_of(number).baton_call
        return caller

    def ai_of(self, number):
        for leg in list(self.phones.legs):
            if leg.role == "ai" and leg.user == f"bot-{number}" and leg.state == "up":
                return leg
        return None

    def ask_once(self, caller, ae=0):
        """Asks for a transfer: the status and the answer."""
        body = {"to": ae if isinstance(ae, str) else f"ae-{ae:03d}", "context": {"summary": "The price for five hundred seats."}}
        return self.daemon.insist("POST", f"/v1/calls/{caller.baton_call}/transfers", body)

    def ask(self, caller, ae=0):
        """Asks for a transfer, again where the store is behind: a machine that has much to do may stand still for a moment."""

        def asked():
            status, answer = self.ask_once(caller, ae)
            must(status in (202, 503), f"the transfer was answered with {status}: {answer}")
            return answer["id"] if status == 202 else None

        return wait("the transfer is taken", asked)

    def bridge(self, caller, ae=0):
        """Caller and AE together."""
        transfer = self.ask(caller, ae)
        leg = wait("the AE answers", lambda: self.phones.find("ae", caller.baton_call))
        wait("the acceptance is taken", lambda: self.daemon.insist("POST", f"/v1/transfers/{transfer}/accept", {})[0] in (200, 202, 409))
        wait("they hear each other", lambda: hear_each_other((caller, leg), 0.0, 3))
        return transfer, leg

    def bridges(self, count, first=0):
        """So many callers, each with an AE."""
        legs = []
        for number in range(first, first + count):
            caller = self.with_ai(number)
            legs.append((caller, self.bridge(caller, number)[1]))
        return legs

    def quiet(self):
        """Waits until no SIP has been seen for a second: what comes afterwards was caused by what is done afterwards."""
        wait("nobody has anything to say", lambda: not self.phones.sip_between(time.monotonic() - 1.0, time.monotonic()))

    def hang_up(self, legs):
        """Every caller leaves, and every AE hears of it."""
        for caller, ae in legs:
            pending = self.phones.bye(caller)
            wait("the caller's BYE is answered", lambda: pending["status"] == 200)
            wait("the AE hears of it", lambda: ae.state == "over")


def hear_each_other(pair, since, count=10):
    """Whether both ends of a bridge have heard each other so often since then."""
    return all(
        sum(1 for at, octet, *_ in leg.heard[-count * 4 :] if octet == says and at > since) >= count
        for leg, says in zip(pair, (0x22, 0x33))
    )
