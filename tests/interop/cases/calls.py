"""Plain calls between a trunk and an AI."""

import http.server
import json
import sqlite3
import threading
import time
import urllib.request

from lab.desk import TONES, expect
from lab.sipp import body, header, sdp_audio

from . import case


def both_hear(caller, ai, span):
    expect(caller.hears(TONES["ai"], *span), f"the caller hears the AI; level {caller.level(TONES['ai'], *span):.0f} dBFS")
    expect(ai.hears(TONES["caller"], *span), f"the AI hears the caller; level {ai.level(TONES['caller'], *span):.0f} dBFS")


def end_by_caller(caller_leg, ai_leg):
    caller_leg.finish()
    ai_leg.finish()
    bye, passed_on = caller_leg.first("sent", "BYE"), ai_leg.first("received", "BYE")
    expect(bye and passed_on, "the caller's BYE reaches the AI as BYE")
    late = (passed_on.at - bye.at) * 1000
    expect(late <= 50, f"the AI's BYE follows the caller's within 50 ms; it took {late:.0f} ms")


def talking(desk, scenario="caller", ai="answers", codec="pcmu", seconds=1.5, **how):
    """A caller and the AI in a call in which both hear each other: (caller, caller's leg, AI, AI's leg, call)."""
    baton = desk.serve()
    caller, voice = desk.voice("caller", codec=codec), desk.voice("ai")
    ai_leg = desk.party("ai", ai)
    caller_leg = desk.party("caller", scenario, codec=codec, **how)
    call = baton.call()
    both_hear(caller, voice, desk.let_them_talk(seconds))
    return caller, caller_leg, voice, ai_leg, call


@case("a plain call carries sound both ways and ends with the caller's BYE")
def plain(desk):
    caller, caller_leg, ai, ai_leg, call = talking(desk, hold=3500, seconds=2)
    expect(call["id"].startswith("c_") and call["driver"] == "ai", f"the call is driven by the AI: {call}")
    roles = sorted(leg["role"] for leg in call["legs"])
    expect(roles == ["ai", "caller"], f"the call has a caller and an AI: {roles}")
    end_by_caller(caller_leg, ai_leg)
    invite = ai_leg.first("received", "INVITE")
    expect(header(invite, "X-Baton-Call") == call["id"], "the AI's INVITE carries X-Baton-Call with the call's id")
    expect(caller.heard[0].source == sdp_audio(caller_leg.first("received", "SIP/2.0 200")), "RTP comes from where the SDP says")
    expect(not caller.breaks() and not ai.breaks(), f"one stream for life: {caller.breaks()[:3]} {ai.breaks()[:3]}")
    baton = desk.baton
    ended = baton.wait("the call is over", lambda: (c := baton.get(f"/v1/calls/{call['id']}"))["state"] == "ended" and c, 3)
    expect(ended["ended_at"], "an ended call says when")


@case("texts go beside a call, and the AI rests from the moment a human writes")
def texts(desk):
    _, caller_leg, _, ai_leg, call = talking(desk, "caller_writes", ai="answers_and_reads", hold=1500, seconds=1)
    baton = desk.baton
    where = f"/v1/calls/{call['id']}"
    baton.wait("the caller's text is known", lambda: baton.get(f"{where}/messages")["items"], 5)
    status, said = baton.ask("POST", f"{where}/messages", {"author": "human", "text": "Sara here."})
    expect(status == 201, f"a human may write: {status} {said}")
    expect(baton.get(where)["driver"] == "paused", "the AI rests from then on")
    caller_leg.finish()
    ai_leg.finish()
    read, written = ai_leg.first("received", "MESSAGE"), caller_leg.first("received", "MESSAGE")
    expect("My order is 4711." in body(read), f"the AI reads what the caller writes: {body(read)!r}")
    expect("Sara here." in body(written), f"the caller reads what the human writes: {body(written)!r}")


@case("a caller with A-law and an AI with mu-law understand each other")
def transcoded(desk):
    caller, caller_leg, _, ai_leg, _ = talking(desk, codec="pcma", hold=2500)
    kinds = {packet.kind for packet in caller.heard}
    expect(kinds == {8}, f"the caller is sent A-law only: payload types {kinds}")
    end_by_caller(caller_leg, ai_leg)


@case("an INVITE without an offer gets one in the 200")
def delayed_offer(desk):
    _, caller_leg, _, ai_leg, _ = talking(desk, "caller_without_offer", hold=2500)
    end_by_caller(caller_leg, ai_leg)
    offer = body(caller_leg.first("received", "SIP/2.0 200"))
    expect("PCMU/8000" in offer and "telephone-event/8000" in offer, f"the offer has G.711 and telephone-event: {offer!r}")


@case("a call over TCP")
def over_tcp(desk):
    _, caller_leg, _, ai_leg, _ = talking(desk, transport="t1", hold=2500)
    end_by_caller(caller_leg, ai_leg)


@case("SIGTERM: new calls get 503 with Retry-After, a live one ends with BYE, the daemon goes with 0")
def drain(desk):
    baton = desk.serve()
    desk.voice("caller"), desk.voice("ai")
    michael = desk.voice("michael")
    desk.party("ai", "answers")
    michael_leg = desk.party("michael", "answers", ring=3000)
    caller_leg = desk.party("caller", "caller")
    call = baton.call()
    transfer = baton.transfer(call)
    baton.transfer_in(transfer["id"], ("ringing",))
    baton.process.terminate()
    time.sleep(0.3)
    late = desk.stranger("late", "caller_refused", "127.0.0.1", baton.base + 8, status=503)
    late.finish()
    refusal = late.first("received", "SIP/2.0 503")
    expect((header(refusal, "Retry-After") or "").split(" ")[0].isdigit(), f"the 503 has Retry-After: {refusal.text!r}")
    asked = desk.stranger("asked", "options", "127.0.0.1", baton.base + 9, status=503)
    asked.finish()
    expect(baton.process.poll() is None, "the daemon stays while a transfer is in flight")
    michael_leg.wait_for("received", "ACK")
    baton.transfer_in(transfer["id"], ("briefing",))
    michael.press("1")
    baton.process.wait(10)
    expect(baton.process.returncode == 0, f"the daemon ends with 0, not {baton.process.returncode}")
    expect(caller_leg.first("received", "BYE"), "the live caller gets a BYE")
    expect(michael_leg.first("received", "BYE"), "and so does the AE who has just taken over")


class Receiver:
    """A receiver of webhooks that keeps what came, in that order."""

    def __init__(self, port):
        self.came = came = []

        class Hear(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Hear)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def seqs(self):
        return [event["seq"] for event in self.came]


def streamed(baton, count):
    """The first events of the stream, from the very first one on."""
    with urllib.request.urlopen(f"http://127.0.0.1:{baton.http}/v1/events?after=0", timeout=5) as stream:
        seqs = []
        while len(seqs) < count:
            line = stream.readline().decode()
            if line.startswith("id:"):
                seqs.append(int(line[3:]))
        return seqs


@case("events that happen while the store is locked come late, all of them and in their order, to webhooks and to the stream")
def late_events(desk):
    ports = {}

    def with_hook(baton):
        ports["hook"] = baton.base + 9
        hook = f'[[webhook]]\nurl = "http://127.0.0.1:{ports["hook"]}/"\nsecret = "hush"\nallow_private = true\n'
        return baton.usual + "\n" + hook
    baton = desk.serve(text_of=with_hook)
    receiver = Receiver(ports["hook"])
    desk.at_end(receiver.close)
    desk.voice("caller"), desk.voice("ai")
    lock = sqlite3.connect(desk.path("baton.db"), isolation_level=None, timeout=5)
    desk.at_end(lock.close)
    lock.execute("BEGIN IMMEDIATE")
    ai_leg = desk.party("ai", "answers")
    caller_leg = desk.party("caller", "caller", hold=1500)
    call = baton.call()
    baton.wait("the store says that it is ill", lambda: baton.ask("GET", "/readyz")[0] == 503, 5)
    caller_leg.finish()
    ai_leg.finish()
    baton.wait("the call is over", lambda: baton.get(f"/v1/calls/{call['id']}")["state"] == "ended", 3)
    time.sleep(1)
    expect(not receiver.came, f"nothing is told that is not on disk: {receiver.came}")
    lock.execute("ROLLBACK")
    baton.wait("the webhook hears of the end", lambda: any(event["type"] == "call.ended" for event in receiver.came), 10)
    baton.wait("the store is well", lambda: baton.ask("GET", "/readyz")[0] == 200, 5)
    count = len(receiver.came)
    expect(count >= 2 and receiver.came[0]["type"] == "call.started", f"it heard of the beginning first: {[event['type'] for event in receiver.came]}")
    expect(receiver.seqs() == list(range(1, count + 1)), f"none is missing, none came twice, none out of turn: {receiver.seqs()}")
    expect(streamed(baton, count) == receiver.seqs(), "the stream has the same past")
    rows = sqlite3.connect(f"file:{desk.path('baton.db')}?mode=ro", uri=True).execute("SELECT state FROM calls WHERE id = ?", (call["id"],)).fetchall()
    expect(rows == [("ended",)], f"and the row of the call says that it is over: {rows}")
