"""What is done to the daemon, and what must hold."""

import os
import resource
import signal
import statistics
import time

from daemon import Daemon
from phones import Phones


# Whether the bars for the gap and for the time to safety count: on a machine that does nothing else.
BARS = os.environ.get("CHAOS_BARS") == "1"


class Broken(Exception):
    """A promise was not kept."""


class Skipped(Exception):
    """It cannot be played here."""


def must(holds, what):
    if not holds:
        raise Broken(what)


def wait(what, condition, patience=20.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise Broken(f"waited {patience:.0f} s in vain: {what}")


class Scene:
    """A daemon and its phones."""

    def __init__(self, program, folder, aes=1, self_test=None, more="", extra="", **how):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
        self.phones = Phones(("127.0.0.1", 9))
        start = how.pop("start", {})
        self.daemon = Daemon(program, folder, aes=aes, more=more, **how)
        self.phones.proxy = ("127.0.0.1", self.daemon.sip)
        self.daemon.write(self.phones, extra)
        self.phones.start()
        self.daemon.start(self_test, **start)

    def __enter__(self):
        try:
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

    def ask(self, caller, ae=0, summary="The price for five hundred seats."):
        body = {"to": f"ae-{ae:03d}", "context": {"summary": summary}}
        status, transfer = self.daemon.insist("POST", f"/v1/calls/{caller.baton_call}/transfers", body)
        must(status == 202, f"the transfer was answered with {status}: {transfer}")
        return transfer["id"]

    def bridge(self, caller, ae=0):
        """Caller and AE together."""
        transfer = self.ask(caller, ae)
        leg = wait("the AE answers", lambda: self.phones.find("ae", caller.baton_call))
        wait("the acceptance is taken", lambda: self.daemon.insist("POST", f"/v1/transfers/{transfer}/accept", {})[0] in (200, 202, 409))
        wait("they hear each other", lambda: any(o == 0x22 for _, o, *_ in caller.heard[-3:]) and any(o == 0x33 for _, o, *_ in leg.heard[-3:]))
        return transfer, leg


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def rounds(calls, count, listen, how=signal.SIGKILL, bars=(0.3, 0.5)):
    """Calls that are bridged live through one death of the process after the other."""

    def play(program, folder):
        with Scene(program, folder, aes=calls, ports=max(600, calls * 16)) as scene:
            legs = []
            for number in range(calls):
                caller = scene.with_ai(number)
                legs.append((caller, scene.bridge(caller, number)[1]))
            time.sleep(1.2)
            gaps, worst = [], []
            for at in range(count):
                scene.phones.forget()
                before = {id(leg): set(leg.ssrcs) for pair in legs for leg in pair}
                time.sleep(0.3)
                killed, old = time.monotonic(), scene.daemon.kill(how)
                span = listen[at] if isinstance(listen, list) else listen
                wait("everybody hears somebody again", lambda: all(again(pair, killed) for pair in legs))
                time.sleep(max(1.0, span - (time.monotonic() - killed)))
                until = time.monotonic()
                must(scene.daemon.worker() not in (None, old), "no new worker has come")
                sip = scene.phones.sip_between(killed, until)
                must(not sip, f"round {at + 1}: the phones saw SIP: {sip[:3]}")
                here = []
                for caller, ae in legs:
                    for leg, other in ((caller, "ae"), (ae, "caller")):
                        tail = leg.hears(until - 0.5, until)
                        must(tail.get(other, 0) >= 10, f"round {at + 1}: a {leg.role} hears {tail} at the end")
                        must(leg.ssrcs == before[id(leg)], f"round {at + 1}: a {leg.role} hears another SSRC")
                    here.append(caller.gaps(killed - 0.2, until))
                gaps += here
                worst.append(max(here))
            for caller, ae in legs:
                pending = scene.phones.bye(caller)
                wait("the caller's BYE is answered", lambda: pending["status"] == 200)
                wait("the AE hears of it", lambda: ae.state == "over")
            status, left = scene.daemon.insist("GET", "/v1/calls")
            p99, most = percentile(gaps, 0.99), max(gaps)
            told = f"{len(gaps)} calls over {count} deaths, 0 lost; gap at the caller median {statistics.median(gaps) * 1e3:.0f}, "
            told += f"p99 {p99 * 1e3:.0f}, max {most * 1e3:.0f} ms"
            if BARS:
                must(p99 <= bars[0] and most <= bars[1], told)
            return told

    return play


def again(pair, killed):
    """Whether both ends of a bridge hear each other since then."""
    return all(
        any(octet == says and at > killed + 0.1 for at, octet, *_ in leg.heard[-25:]) for leg, says in zip(pair, (0x22, 0x33))
    )


def with_ai(program, folder):
    """A caller and an AI talk on, and can still reach a human."""
    with Scene(program, folder) as scene:
        caller = scene.with_ai(0)
        ai = scene.ai_of(0)
        time.sleep(1.2)
        killed = time.monotonic()
        scene.daemon.kill()
        wait("the caller hears the AI again", lambda: sum(1 for at, octet, *_ in caller.heard if at > killed + 0.1 and octet == 0x11) > 50)
        until = time.monotonic()
        must(not scene.phones.sip_between(killed, until), "the phones saw SIP")
        must(caller.hears(until - 0.5, until).get("ai", 0) >= 10, f"the caller hears {caller.hears(until - 0.5, until)}")
        must(ai.hears(until - 0.5, until).get("caller", 0) >= 10, "the AI does not hear the caller")
        scene.bridge(caller)
        return f"gap {caller.gaps(killed - 0.1, until) * 1e3:.0f} ms"


def point(when, number):
    """The process dies at one line of the journal within a transfer: the caller must be safe within two seconds."""

    def play(program, folder):
        with Scene(program, folder, self_test=f"die-{when}:{number}", extra='\n[transfer]\nring_max = "6s"\n') as scene:
            scene.phones.ae_key = "1"
            first = scene.daemon.worker()
            died = []

            def look():
                worker = scene.daemon.worker()
                if not died and worker != first:
                    died.append(time.monotonic())
                return died

            caller = scene.phones.call(0)
            wait("the AI answers", lambda: look() and False or (caller.state == "up" and scene.ai_of(0)), 12)
            caller.baton_call = scene.ai_of(0).baton_call
            end = time.monotonic() + 8
            transfer = None
            while time.monotonic() < end:
                look()
                try:
                    if transfer is None:
                        status, answer = scene.daemon.ask("POST", f"/v1/calls/{caller.baton_call}/transfers", {"to": "ae-000"}, patience=3)
                        transfer = answer["id"] if status == 202 else None
                    elif caller.hears(time.monotonic() - 0.3, time.monotonic()).get("ae", 0) > 5:
                        break
                except OSError:
                    pass
                time.sleep(0.05)
            look()
            if not died:
                return "there is no such line"
            safe = wait("the caller is safe", lambda: safe_at(scene, caller, died[0]), 12)
            must(safe[1] <= (2.0 if BARS else 12.0), f"safe only after {safe[1]:.2f} s, by {safe[0]}")
            return f"{safe[0]} after {safe[1] * 1e3:.0f} ms"

    return play


def safe_at(scene, caller, died):
    """By whom the caller is safe, and how long after the death that was."""
    names = {0x11: "with the AI", 0x22: "bridged"}
    for at, octet, *_ in caller.heard:
        if at > died and octet in names:
            return names[octet], at - died
    try:
        status, rows = scene.daemon.ask("GET", "/v1/callbacks", patience=2)
        if status == 200 and rows:
            return "callback on disk", 0.0
    except OSError:
        pass
    return None


def points(wanted):
    def play(program, folder):
        told = {}
        for when, number in wanted:
            inside = os.path.join(folder, f"{when}-{number}")
            os.mkdir(inside)
            try:
                said = point(when, number)(program, inside)
            except Broken as fault:
                raise Broken(f"{when} line {number}: {fault} ({inside}/baton.log)") from fault
            how = said.split(" after ")[0]
            told[how] = told.get(how, 0) + 1
        return ", ".join(f"{count} {how}" for how, count in sorted(told.items()))

    return play


def stopped(program, folder):
    """SIGSTOP for three seconds: what waited meanwhile is thrown away, and everybody talks on."""
    with Scene(program, folder) as scene:
        caller = scene.with_ai(0)
        _, ae = scene.bridge(caller)
        worker = scene.daemon.worker()
        os.kill(worker, signal.SIGSTOP)
        time.sleep(3)
        os.kill(worker, signal.SIGCONT)
        began = time.monotonic()
        time.sleep(1.5)
        until = time.monotonic()
        must(caller.hears(until - 0.5, until).get("ae", 0) >= 10, "the caller does not hear the AE")
        burst = sum(1 for at, *_ in caller.heard if began <= at <= began + 0.2)
        must(burst < 40, f"{burst} packets came in a burst")
        pending = scene.phones.bye(caller)
        wait("the BYE is answered", lambda: pending["status"] == 200 and ae.state == "over")
        return f"{burst} packets in the first 200 ms"


def all_of(how):
    quick = [(when, number) for number in (1, 6, 11, 16) for when in ("before", "after")]
    if how == "quick":
        return [
            ("a caller with the AI lives through kill -9", with_ai),
            ("bridged calls live through kill -9, 2 rounds", rounds(4, 2, 2.0)),
            ("8 points of a transfer", points(quick)),
        ]
    every = [(when, number) for number in range(1, 25) for when in ("before", "after")]
    return [
        ("a caller with the AI lives through kill -9", with_ai),
        ("bridged calls live through kill -9, 20 rounds", rounds(100, 20, [10.0] * 19 + [60.0])),
        ("48 points of a transfer", points(every)),
        ("SIGSTOP for three seconds", stopped),
    ]
