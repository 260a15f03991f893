"""The process dies, is stopped, or is replaced while people talk."""

import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from daemon import Daemon
from scene import BARS, Broken, Scene, hear_each_other, milliseconds, must, percentile, wait

# How many points are played side by side.
BESIDE = 4


def watch(scene, legs, span, deed):
    """Does something to the daemon, and looks for `span` seconds at what follows: the gap of every caller."""
    scene.quiet()
    scene.phones.forget()
    before = {id(leg): set(leg.ssrcs) for pair in legs for leg in pair}
    time.sleep(0.3)
    done, old = time.monotonic(), deed()
    wait("everybody hears somebody again", lambda: all(hear_each_other(pair, done + 0.1) for pair in legs))
    time.sleep(max(1.0, span - (time.monotonic() - done)))
    until = time.monotonic()
    must(wait("a new worker", scene.daemon.worker) != old, "no new worker has come")
    sip = scene.phones.sip_between(done, until)
    must(not sip, f"the phones saw SIP: {sip[:3]}")
    wait("they hear each other to the end", lambda: all(hear_each_other(pair, until - 0.5) for pair in legs))
    for leg in (leg for pair in legs for leg in pair):
        must(leg.ssrcs == before[id(leg)], f"a {leg.role} hears another SSRC")
    return [caller.gaps(done - 0.2, until) for caller, _ in legs]


def rounds(calls, spans, how="kill", bars=(0.3, 0.5), kind=Daemon):
    """Calls that are bridged live through one death of the process after the other."""

    def play(program, folder):
        with Scene(program, folder, aes=calls, ports=max(600, calls * 16), kind=kind) as scene:
            legs = scene.bridges(calls)
            gaps = []
            # The voices that speak the briefings are other programs, and have much to do with so many at a time.
            time.sleep(min(10, 0.1 * calls))
            steps, fast, mean = journal(scene)
            for number, span in enumerate(spans):
                time.sleep(1.2)
                try:
                    here = watch(scene, legs, span, scene.daemon.swap if how == "swap" else scene.daemon.kill)
                except Broken as fault:
                    raise Broken(f"round {number + 1}: {fault}") from fault
                gaps += here
                if len(spans) > 2:
                    print(f"      round {number + 1}: {milliseconds(here)}; the phones stood still for {scene.phones.stood[0] * 1e3:.0f} ms", flush=True)
            scene.hang_up(legs)
            told = f"{len(gaps)} calls over {len(spans)} {'swaps' if how == 'swap' else 'deaths'}, 0 lost; {milliseconds(gaps)}; "
            told += f"the journal took {mean * 1e6:.0f} us of a step, {fast / steps:.1%} of {steps:.0f} within 1 ms"
            must(not BARS or fast >= steps / 2, told)
            if BARS and bars:
                must(percentile(gaps, 0.99) <= bars[0] and max(gaps) <= bars[1], told)
            return told

    return play


def journal(scene):
    """What writing the steps of calls down took the engine so far: how many, how many within a millisecond, and the mean in seconds."""
    text = scene.daemon.insist("GET", "/metrics")[1]

    def value(name):
        found = re.search(r'^baton_journal_seconds_%s\S* (\S+)$' % name, text, re.M)
        return float(found.group(1)) if found else 0.0

    steps = value(r'count\{part="engine"')
    must(steps, "nothing was written down")
    return steps, value(r'bucket\{part="engine",le="0.001"'), value(r'sum\{part="engine"') / steps


def with_ai(program, folder):
    """A caller and an AI talk on, and can still reach a human."""
    with Scene(program, folder) as scene:
        caller = scene.with_ai(0)
        ai = scene.ai_of(0)
        time.sleep(1.2)
        scene.quiet()
        killed = time.monotonic()
        scene.daemon.kill()

        def talk(since):
            return all(
                sum(1 for at, octet, *_ in leg.heard[-100:] if at > since and octet == says) > 10 for leg, says in ((caller, 0x11), (ai, 0x33))
            )

        wait("they hear each other again", lambda: talk(killed + 0.1))
        until = time.monotonic()
        must(not scene.phones.sip_between(killed, until), "the phones saw SIP")
        wait("they hear each other to the end", lambda: talk(until))
        scene.bridge(caller)
        return f"gap {caller.gaps(killed - 0.1, until) * 1e3:.0f} ms"


def upgrade(calls, new_calls, swaps, bars=(0.15, None)):
    """SIGUSR2 with live calls, while others come in: nobody is dropped."""

    def play(program, folder):
        with Scene(program, folder, aes=calls, ports=max(600, (calls + new_calls * swaps) * 16)) as scene:
            legs = scene.bridges(calls)
            gaps, fresh = [], []
            for swap in range(swaps):
                time.sleep(1.2)
                scene.phones.forget()
                before = {id(leg): set(leg.ssrcs) for pair in legs for leg in pair}
                began = time.monotonic()
                for number in range(new_calls):
                    fresh.append((1_000 + swap * new_calls + number, scene.phones.call(1_000 + swap * new_calls + number)))
                    if number == new_calls // 2:
                        old = scene.daemon.swap()
                    time.sleep(0.02)
                wait("another worker", lambda: scene.daemon.worker() not in (None, old))
                swapped = time.monotonic()
                wait("everybody hears somebody again", lambda: all(hear_each_other(pair, swapped) for pair in legs))
                wait("those who call meanwhile are answered", lambda: all(leg.state == "up" and scene.ai_of(of) for of, leg in fresh))
                for leg in (leg for pair in legs for leg in pair):
                    must(leg.ssrcs == before[id(leg)], f"a {leg.role} hears another SSRC")
                gaps += [caller.gaps(began, time.monotonic()) for caller, _ in legs]
            wait("those who called hear the AI", lambda: all(leg.heard and leg.heard[-1][1] == 0x11 for _, leg in fresh))
            scene.hang_up(legs)
            told = f"{len(gaps)} calls over {swaps} swaps, {len(fresh)} begun meanwhile, 0 dropped; {milliseconds(gaps)}"
            if BARS:
                must(percentile(gaps, 0.99) <= bars[0], told)
            return told

    return play


def poison(program, folder):
    """A call that kills its recovery twice is put aside; the others are taken up."""
    with Scene(program, folder, aes=2, self_test="poison:0000007") as scene:
        good = (scene.with_ai(0),)
        good += (scene.bridge(good[0], 0)[1],)
        bad = scene.with_ai(7)
        time.sleep(1.2)
        scene.quiet()
        killed = time.monotonic()
        scene.daemon.kill()
        wait("the others talk on", lambda: hear_each_other(good, killed + 0.1))
        aside = os.path.join(folder, "baton.db.journal.quarantine")
        must(os.listdir(aside) == [f"{bad.baton_call}.call"], f"put aside: {os.listdir(aside)}")
        must(scene.daemon.count("killed the process twice"), "the log does not say why")
        must(scene.daemon.insist("GET", f"/v1/calls/{good[0].baton_call}")[0] == 200, "the other call is not known")
        again = time.monotonic()
        scene.daemon.kill()
        wait("the others live through the next death, too", lambda: hear_each_other(good, again + 0.1))
        scene.hang_up([good])
        return "two deaths within the recovery, one call put aside"


PHONE = '\n[[ae]]\nid = "desk"\nname = "Desk"\npassword = "correct horse battery"\ntimezone = "UTC"\nhours = "Mon-Sun 00:00-24:00"\n'


def registered(program, folder):
    """A phone that has registered is called where it has registered, after two deaths, too, although it has not come again."""
    with Scene(program, folder, extra=PHONE) as scene:

        def phone():
            roster = scene.daemon.insist("GET", "/v1/aes")[1]["items"]
            return next(ae for ae in roster if ae["id"] == "desk")["phone"]

        wait("the phone is known to be away", lambda: phone() == "gone")
        asked = scene.phones.register("desk", "correct horse battery")
        wait("the phone has registered", lambda: asked["status"])
        must(asked["status"] == 200, f"REGISTER was answered with {asked['status']}")
        wait("it is known", lambda: phone() == "registered")
        time.sleep(0.3)
        for death in (1, 2):
            old = scene.daemon.kill()
            wait("another worker", lambda: scene.daemon.worker() not in (None, old))
            wait(f"it is known after death {death}", lambda: phone() == "registered")
        caller = scene.with_ai(0)
        scene.hang_up([(caller, scene.bridge(caller, "desk")[1])])
        return "known after 2 deaths, and called"


def point(when, number, story="accepts"):
    """The process dies at one line of the journal within a transfer: the caller must be safe within two seconds."""

    def play(program, folder):
        declines = story == "declines"
        self_test, extra = f"die-{when}:{number}", '\n[transfer]\nring_max = "6s"\n'
        with Scene(program, folder, aes=2 if declines else 1, self_test=self_test, extra=extra, ports=128, backup=declines) as scene:
            scene.phones.ae_key = "1"
            scene.phones.declines = {"ae-000"} if declines else set()
            first = scene.daemon.worker()
            died = []

            def look():
                worker = scene.daemon.worker()
                if not died and worker != first:
                    died.append(time.monotonic())
                return died

            def answered():
                look()
                return caller.state == "up" and scene.ai_of(0)

            caller = scene.phones.call(0)
            wait("the AI answers", answered)
            caller.baton_call = scene.ai_of(0).baton_call
            transfer, end = None, time.monotonic() + 20
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
            # The last lines come after the bridge: what nobody waits for is written a moment later.
            end = time.monotonic() + 1.0
            while not look() and time.monotonic() < end:
                time.sleep(0.02)
            if not died:
                return "no such line"
            safe = wait("the caller is safe", lambda: safe_at(scene, caller, died[0]))
            must(not BARS or safe[1] <= 2.0, f"safe only after {safe[1]:.2f} s, by {safe[0]}")
            return f"{safe[0]} after {safe[1] * 1e3:.0f} ms"

    return play


def safe_at(scene, caller, died):
    """By whom the caller is safe, and how long after the death that was."""
    names = {0x11: "with the AI", 0x22: "bridged"}
    for at, octet, *_ in list(caller.heard):
        if at > died and octet in names:
            return names[octet], at - died
    try:
        status, rows = scene.daemon.ask("GET", "/v1/callbacks", patience=2)
        if status == 200 and rows:
            return "with a callback on disk", time.monotonic() - died
    except OSError:
        pass
    return None


def points(wanted, times=1, idle=0.5):
    """Several points side by side: most of each is waiting. At no more than this share of them there may be no such line."""

    def play(program, folder):
        told, lock, slowest = {}, threading.Lock(), [0.0]

        def one(job):
            turn, (when, number, story) = job
            inside = os.path.join(folder, f"{turn}-{when}-{number}-{story}")
            os.mkdir(inside)
            try:
                said = point(when, number, story)(program, inside)
            except Broken as fault:
                raise Broken(f"{when} line {number}, the AE {story}: {fault} ({inside}/baton.log)") from fault
            how, _, after = said.partition(" after ")
            with lock:
                told[how] = told.get(how, 0) + 1
                slowest[0] = max(slowest[0], float(after.split()[0]) if after else 0.0)

        jobs = [(turn, place) for turn in range(times) for place in wanted]
        with ThreadPoolExecutor(1 if BARS else BESIDE) as pool:
            for done in [pool.submit(one, job) for job in jobs]:
                done.result()
        missing = told.get("no such line", 0)
        must(missing <= len(jobs) * idle, f"at {missing} of {len(jobs)} points the process has not died")
        return ", ".join(f"{count} {how}" for how, count in sorted(told.items())) + f"; the slowest after {slowest[0]:.0f} ms"

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
        wait("they hear each other", lambda: hear_each_other((caller, ae), began))
        burst = sum(1 for at, *_ in caller.heard if began <= at <= began + 0.2)
        must(burst < 40, f"{burst} packets came in a burst")
        scene.hang_up([(caller, ae)])
        return f"{burst} packets in the first 200 ms"
