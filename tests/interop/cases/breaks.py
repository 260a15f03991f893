"""Where stacks break, from both sides: the caller's (a trunk) and that of whoever is called (an AI or an AE)."""

import functools
import threading
import time

from lab.desk import TONES, expect
from lab.phone import Phone, field
from lab.sipp import body, header

from . import case as any_case
from .beyond import up
from .calls import both_hear
from .transfers import bridged_to, by_hand, conversation

case = functools.partial(any_case, full_only=True)
UP = "< INVITE\n> 180\n> 200 sdp\n< ACK\n"
CALLS = "> INVITE sdp\n< 200\n> ACK\n"
HUNG_UP_ON = "< BYE\n> 200\n"
HANGS_UP = "> BYE\n< 200\n"


def asked(desk, michael, hold=20000, **words):
    """A transfer in a call, to a Michael of these lines."""
    baton, voices, legs, call = conversation(desk, hold=hold)
    legs["michael"] = desk.party("michael", michael, **words)
    return baton, voices, legs, baton.transfer(call)


def accepted(baton, transfer):
    """Michael has answered and accepts on his page."""
    baton.transfer_in(transfer["id"], ("briefing",))
    status, answer = baton.ask("POST", f"/v1/transfers/{transfer['id']}/accept", {})
    expect(status in (200, 202), f"he accepts: {status} {answer}")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}")


def all_over(baton):
    baton.wait("no call is left", lambda: all(call["state"] == "ended" for call in baton.get("/v1/calls")["items"]), 12)


@case("the caller's CANCEL crosses our 200: the call is up, and ends with a BYE")
def cancel_crosses_our_200(desk):
    baton = desk.serve()
    ai = desk.party("ai", "answers")
    caller = desk.party("caller", "> INVITE sdp\n< 200\n> CANCEL\n< 200\n> ACK\npause 400\n" + HANGS_UP)
    caller.finish(), ai.finish()
    all_over(baton)


@case("the AI's 200 crosses our CANCEL: ACK and BYE, and 487 for the caller")
def ai_answers_too_late(desk):
    baton = desk.serve()
    ai = desk.party("ai", "answers_too_late")
    caller = desk.party("caller", "> INVITE sdp\n< 180\n> CANCEL\n< 200\n< 487\n> ACK same\n")
    caller.finish(), ai.finish()
    all_over(baton)


@case("BYEs of Baton and the caller cross: each gets its 200")
def byes_cross_at_the_caller(desk):
    baton = desk.serve()
    ai = desk.party("ai", "answers", talk=1200)
    caller = desk.party("caller", CALLS + "< BYE\n> BYE\n< 200\n> 200 BYE\n")
    caller.finish(), ai.finish()
    all_over(baton)


@case("BYEs of Baton and the AI cross: each gets its 200")
def byes_cross_at_the_ai(desk):
    baton = desk.serve()
    ai = desk.party("ai", UP + "< BYE\n> BYE\n< 200\n> 200 BYE\n")
    caller = desk.party("caller", "caller", hold=1200)
    caller.finish(), ai.finish()
    all_over(baton)


@case("glare at the AI: 491 for its second offer, which passes once it is tried again")
def glare_at_the_ai(desk):
    baton = desk.serve()
    ai = desk.party("ai", UP + "pause 400\n> INVITE once\n< 200\n> INVITE sdp once\n< 491\n> ACK same\n> ACK sdp seq=1\n> INVITE sdp\n< 200\n> ACK\n" + HUNG_UP_ON)
    caller = desk.party("caller", "caller", hold=2500)
    caller.finish(), ai.finish()
    all_over(baton)


FORKS = "< INVITE\n> 180\n> 200 sdp tag=one once\n< ACK\n> 200 INVITE sdp tag=two once\n< ACK\n< BYE\n> 200\n"


def forks_are_parted(leg):
    """The first 200 has the call, the second one gets ACK and BYE."""
    byes = [message for message in leg.all("received", "BYE") if "two" in header(message, "To")]
    acks = {header(message, "To").split("tag=")[-1] for message in leg.all("received", "ACK")}
    expect(len(acks) == 2 and byes, f"both are acknowledged, and the second is ended: {acks} {len(byes)}")


@case("two forks of the AI answer: the first has the call, the second gets ACK and BYE")
def forks_of_the_ai(desk):
    baton = desk.serve()
    ai = desk.party("ai", FORKS + HUNG_UP_ON)
    caller = desk.party("caller", "caller", hold=1500)
    caller.finish(), ai.finish()
    forks_are_parted(ai)
    all_over(baton)


@case("two forks of the AE answer: the first is briefed and bridged, the second gets ACK and BYE")
def forks_of_the_ae(desk):
    baton, _, legs, transfer = asked(desk, FORKS + HUNG_UP_ON, hold=6000)
    accepted(baton, transfer)
    legs["caller"].finish(), legs["michael"].finish()
    forks_are_parted(legs["michael"])


@case("a late ACK of the caller: our 200 is repeated, and the call lives")
def late_ack(desk):
    baton = desk.serve()
    ai = desk.party("ai", "answers")
    caller = desk.party("caller", "> INVITE sdp\n< 200\npause 1400\n> ACK\npause 500\n" + HANGS_UP)
    caller.finish(), ai.finish()
    repeated = len(caller.all("received", "SIP/2.0 200"))
    expect(repeated >= 3, f"the 200 came again while there was no ACK, then that to the BYE: {repeated}")


@case("an ACK of the caller that never comes: BYE to both after 32 s")
def no_ack(desk):
    baton = desk.serve()
    ai = desk.party("ai", "answers", talk=60000)
    caller = desk.party("caller", "> INVITE sdp\n< 200\n< BYE\n> 200\n")
    caller.finish(45), ai.finish()
    waited = caller.first("received", "BYE").at - caller.first("received", "SIP/2.0 200").at
    expect(30 <= waited <= 36, f"after 64 times T1, not {waited:.1f} s")
    all_over(baton)


@case("our ACK to the AE is lost: their 200 comes again, and so does the ACK")
def our_ack_is_lost(desk):
    baton, _, legs, call = conversation(desk, hold=8000)
    michael = by_hand(desk, baton, "michael")
    transfer = baton.transfer(call)
    invite = michael.receive("INVITE")
    for _ in range(3):
        michael.send(michael.response(invite, "200 OK", sdp=True))
        ack = michael.receive("ACK")
        expect(field(ack, "CSeq").split()[0] == field(invite, "CSeq").split()[0], f"the ACK is that of the INVITE: {field(ack, 'CSeq')}")
    accepted(baton, transfer)
    legs["caller"].finish()
    michael.send(michael.response(michael.receive("BYE"), "200 OK"))


@case("a BYE of ours is lost, at the caller and at the AE: it is said again")
def byes_are_lost(desk):
    baton, _, legs, transfer = asked(desk, UP + "< BYE\npause 1200\n> 200\n", hold=6000)
    accepted(baton, transfer)
    legs["caller"].finish(), legs["michael"].finish()
    expect(len(legs["michael"].all("received", "BYE")) >= 2, "the AE's phone hears BYE again")
    legs["ai"].finish()
    ai = desk.party("ai", "answers", talk=1000)
    caller = desk.party("caller", CALLS + "< BYE\npause 1200\n> 200\n")
    caller.finish(), ai.finish()
    expect(len(caller.all("received", "BYE")) >= 2, "and so does the caller")
    all_over(baton)


@case("422: a caller's interval that is too short is told what would do, and comes again")
def too_short_an_interval(desk):
    baton = desk.serve()
    ai = desk.party("ai", "answers")
    timer = "| Supported: timer | Session-Expires:"
    caller = desk.party("caller", f"> INVITE sdp {timer} 60\n< 422\n> ACK same\n> INVITE sdp fresh {timer} 90 | Min-SE: 90\n< 200\n> ACK\npause 300\n" + HANGS_UP)
    caller.finish(), ai.finish()
    expect(header(caller.first("received", "SIP/2.0 422"), "Min-SE") == "90", "Min-SE is 90")
    expect((header(caller.first("received", "SIP/2.0 200"), "Session-Expires") or "").startswith("90"), "90 s are granted")


@case("422 of an AE's phone: it is called again with the interval that it wants")
def an_ae_wants_more(desk):
    baton, _, legs, transfer = asked(desk, "< INVITE\n> 422 | Min-SE: 3600\n< ACK\n" + UP + HUNG_UP_ON, hold=6000)
    accepted(baton, transfer)
    legs["caller"].finish(), legs["michael"].finish()
    again = legs["michael"].all("received", "INVITE")[-1]
    said = header(again, "Session-Expires") or ""
    expect(said.split(";")[0] == "3600" and header(again, "Min-SE") == "3600", f"it wants an hour: {said!r} {header(again, 'Min-SE')!r}")


REFRESHED = "Supported: timer | Session-Expires: 90;refresher="
SLOW = {"seconds": 120}


def ends_unrefreshed(leg, direction):
    """The leg that has promised to refresh, and does not, gets a BYE when its interval is over, or up to a third before."""
    lasted = leg.first("received", "BYE").at - leg.first(direction, "SIP/2.0 200").at
    expect(55 <= lasted <= 95, f"90 s were agreed: {lasted:.0f} s")


@case("a caller who promised to refresh the session and does not: BYE to both")
def caller_does_not_refresh(desk):
    baton = desk.serve()
    # Without sound the AI would be taken for dead long before.
    desk.voice("caller"), desk.voice("ai")
    ai = desk.party("ai", UP + HUNG_UP_ON, **SLOW)
    caller = desk.party("caller", f"> INVITE sdp | {REFRESHED}uac\n< 200\n> ACK\n{HUNG_UP_ON}", **SLOW)
    caller.finish(110), ai.finish()
    ends_unrefreshed(caller, "received")
    all_over(baton)


@case("an AI that promised to refresh the session and does not: BYE to it, and a human is called for the caller")
def ai_does_not_refresh(desk):
    desk.serve()
    desk.voice("caller"), desk.voice("ai")
    ai = desk.party("ai", f"< INVITE\n> 180\n> 200 sdp | Require: timer | {REFRESHED}uas\n< ACK\n{HUNG_UP_ON}", **SLOW)
    desk.party("caller", "caller", hold=110000, **SLOW)
    michael = desk.party("michael", "answers", ring=200, **SLOW)
    ai.finish(110)
    ends_unrefreshed(ai, "sent")
    michael.wait_for("received", "ACK")


@case("a NOTIFY that is lost is said again, and the next ones follow in order")
def notify_is_lost(desk):
    baton = desk.serve()
    lines = UP + "pause 400\n> REFER | Refer-To: <sip:michael@example.net>\n< 202\n< NOTIFY\npause 1200\n> 200\n< NOTIFY\n> 200\n< BYE\n> 200\n"
    ai = desk.party("ai", lines)
    # He is there before he rings, so that no other report falls into the silence.
    michael = desk.party("michael", "< INVITE\n> 100\npause 2600\n> 200 sdp\n< ACK\n" + HUNG_UP_ON)
    caller = desk.party("caller", "caller", hold=9000)
    transfer = baton.wait("the transfer", lambda: baton.call()["transfer"])
    accepted(baton, {"id": transfer})
    ai.finish(), caller.finish(), michael.finish()
    said = [body(message).strip() for message in ai.all("received", "NOTIFY")]
    expect(said[0] == said[1] and "100" in said[0] and "200" in said[-1], f"100 twice, 200 at last: {said}")


@case("our own consult coming back as a call: 482")
def loop(desk):
    baton, _, _, call = conversation(desk)
    michael = by_hand(desk, baton, "michael")
    baton.transfer(call)
    invite = michael.receive("INVITE")
    michael.send(michael.response(invite, "180 Ringing"))
    trunk = Phone(baton.base + 8, baton.target, 9)
    desk.at_end(trunk.close)
    more = f"X-Baton-Call: {field(invite, 'X-Baton-Call')}\r\n"
    trunk.send(trunk.request("INVITE", f"sip:+15550100@{baton.target}", "<sip:m@127.0.0.1>;tag=l", f"<sip:+15550100@{baton.target}>", "loop@x", 1, sdp=True, more=more))
    trunk.receive("SIP/2.0 482")


@case("an INVITE with Replaces for a dialog that nobody has: 481 for a caller and for an AI")
def replaces_nothing(desk):
    baton = desk.serve()
    for role in ("caller", "ai"):
        leg = desk.party(role, "> INVITE sdp | Replaces: nobody@example.net;to-tag=a;from-tag=b\n< 481\n> ACK same\n")
        leg.finish()
    expect(baton.get("/v1/calls")["items"] == [], "no call began")


@case("the caller leaves while the AE is briefed: a short word, then BYE")
def caller_leaves_in_the_briefing(desk):
    baton, _, legs, transfer = asked(desk, "answers", ring=200, hold=3000)
    baton.transfer_in(transfer["id"], ("briefing",))
    legs["caller"].finish(), legs["michael"].finish()
    waited = legs["michael"].first("received", "BYE").at - legs["caller"].first("sent", "BYE").at
    expect(waited <= 2.6, f"one sentence of two seconds at most: {waited:.1f} s")
    expect(baton.transfer_over(transfer["id"])["outcome"] == "caller_abandoned", "the caller has left")


@case("the AE leaves while being briefed: the next one is called")
def ae_leaves_in_the_briefing(desk):
    baton, voices, legs, transfer = asked(desk, "answers", ring=200, talk=900)
    legs["sara"] = desk.party("sara", "answers", ring=200, talk=9000)
    legs["michael"].finish()
    baton.wait("Sara is briefed", lambda: len(baton.get(f"/v1/transfers/{transfer['id']}")["attempts"]) == 2)
    accepted(baton, transfer)
    bridged_to(desk, baton, voices, transfer["id"], "sara")


@case("the caller's BYE in the same instant as the AE's acceptance: everybody goes, and there is one outcome")
def caller_leaves_at_acceptance(desk):
    baton, ai, caller, bye = by_hand_up(desk)
    michael = desk.party("michael", "answers", ring=200)
    transfer = baton.transfer(baton.call())
    baton.transfer_in(transfer["id"], ("briefing",))
    accepting = threading.Thread(target=baton.ask, args=("POST", f"/v1/transfers/{transfer['id']}/accept", {}))
    accepting.start()
    caller.send(bye)
    caller.receive("SIP/2.0 200")
    accepting.join(5)
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] in ("bridged", "caller_abandoned"), f"one or the other: {done}")
    michael.finish(), ai.finish()
    all_over(baton)


PROVISIONAL = "< INVITE\n> 181\n> 180 sdp\npause 300\n> 183 sdp\npause 300\n> 180\npause 900\n> 200 sdp\n< ACK\n" + HUNG_UP_ON


@case("181, 180 and 183 with early media of the AI: the caller hears nothing of it, and the 200 makes the call")
def early_media_of_the_ai(desk):
    baton = desk.serve()
    caller, ai = desk.voice("caller"), desk.voice("ai")
    ai_leg = desk.party("ai", PROVISIONAL)
    caller_leg = desk.party("caller", "caller", hold=4500)
    invite = ai_leg.wait_for("received", "INVITE")
    ai.remote = ("127.0.0.1", int(body(invite).split("m=audio ")[1].split(" ")[0]))
    early = desk.let_them_talk(1.0)
    expect(baton.get("/v1/calls")["items"][0]["state"] == "connecting", "a provisional answer is none")
    expect(caller.hears_nothing_of(TONES["ai"], *early), "early media is not passed on")
    baton.call()
    both_hear(caller, ai, desk.let_them_talk(1))
    caller_leg.finish(), ai_leg.finish()


@case("181, 180 and 183 with early media of the AE: it rings, and the 200 answers")
def provisional_of_the_ae(desk):
    baton, voices, legs, transfer = asked(desk, PROVISIONAL, hold=8000)
    shown = baton.transfer_in(transfer["id"], ("ringing",))
    expect(shown["attempts"][0]["outcome"] is None, f"no answer yet: {shown['attempts']}")
    accepted(baton, transfer)
    bridged_to(desk, baton, voices, transfer["id"], "michael")
    legs["caller"].finish(), legs["michael"].finish()


@case("302 of the AE's phone: forwarded, and the next AE is called")
def ae_is_forwarded(desk):
    baton, voices, legs, transfer = asked(desk, "< INVITE\n> 302 | Contact: <sip:mailbox@127.0.0.9:5060>\n< ACK\n")
    legs["sara"] = desk.party("sara", "answers", ring=200, talk=6000)
    accepted(baton, transfer)
    done = bridged_to(desk, baton, voices, transfer["id"], "sara")
    expect([attempt["outcome"] for attempt in done["attempts"]] == ["forwarded", "accepted"], f"who forwards is passed over: {done['attempts']}")


@case("302 of the AI: it is not followed, and a human is called")
def ai_is_forwarded(desk):
    baton = desk.serve()
    elsewhere = Phone(baton.base + 8, baton.target, 9)
    desk.at_end(elsewhere.close)
    ai = desk.party("ai", f"< INVITE\n> 302 | Contact: <sip:elsewhere@127.0.0.1:{baton.base + 8}>\n< ACK\n")
    michael = desk.party("michael", "answers", ring=200)
    caller = desk.party("caller", "caller", hold=4000)
    ai.finish()
    michael.wait_for("received", "ACK")
    caller.finish(), michael.finish()
    elsewhere.socket.setblocking(False)
    try:
        raise AssertionError(f"somebody else is called: {elsewhere.socket.recv(200)!r}")
    except BlockingIOError:
        all_over(baton)


ASKS_FOR_AN_OFFER = "pause 600\n> INVITE once\n< 200\n> ACK sdp\n"


@case("a re-INVITE without an offer, from the caller, the AI and the AE: 200 brings one, and the sound goes on")
def asked_for_an_offer(desk):
    baton = desk.serve()
    voices = {role: desk.voice(role) for role in TONES}
    legs = {"ai": desk.party("ai", UP + ASKS_FOR_AN_OFFER + HUNG_UP_ON), "caller": desk.party("caller", CALLS + "pause 300\n" + ASKS_FOR_AN_OFFER + "pause 7000\n" + HANGS_UP)}
    call = baton.call()
    time.sleep(1.3)
    both_hear(voices["caller"], voices["ai"], desk.let_them_talk(1))
    legs["michael"] = desk.party("michael", UP + "pause 500\n" + ASKS_FOR_AN_OFFER + HUNG_UP_ON)
    transfer = baton.transfer(call)
    accepted(baton, transfer)
    bridged_to(desk, baton, voices, transfer["id"], "michael")
    for leg in legs.values():
        leg.finish()
    for role in ("ai", "michael"):
        expect("m=audio" in body(legs[role].first("received", "SIP/2.0 200")), f"the 200 to {role} has an offer")


HOLDS = "> INVITE inactive\n< 200\n> ACK\npause 1500\n> INVITE zero\n< 200\n> ACK\npause 1500\n> INVITE sdp\n< 200\n> ACK\n"


@case("hold by a=inactive, by c=0.0.0.0, and back, as the AE: music in between")
def ae_holds_both_ways(desk):
    baton, voices, legs, transfer = asked(desk, UP + "pause 1500\n" + HOLDS + HUNG_UP_ON, hold=12000)
    accepted(baton, transfer)
    began = legs["michael"].wait_for("sent", "INVITE").at
    caller = voices["caller"]
    time.sleep(3.2)
    expect(caller.loudness(began + 0.4, began + 2.9) > -50, "the caller hears music")
    expect(caller.hears_nothing_of(TONES["michael"], began + 0.4, began + 2.9), "and nothing of the AE")
    bridged_to(desk, baton, voices, transfer["id"], "michael")
    answers = [body(message) for message in legs["michael"].all("received", "SIP/2.0 200")]
    expect("a=inactive" in answers[0] and "a=inactive" not in answers[-1], f"inactive is answered so, and then no more: {answers}")


@case("hold by a=inactive, by c=0.0.0.0, and back, as the caller")
def caller_holds_both_ways(desk):
    baton = desk.serve()
    caller, ai = desk.voice("caller"), desk.voice("ai")
    ai_leg = desk.party("ai", "answers")
    leg = desk.party("caller", CALLS + "pause 300\n" + HOLDS + "pause 2500\n" + HANGS_UP)
    baton.call()
    time.sleep(4)
    both_hear(caller, ai, desk.let_them_talk(1))
    leg.finish(), ai_leg.finish()
    expect(not caller.breaks(), f"one stream for life: {caller.breaks()[:3]}")


@case("the AE's phone is cut off without a BYE: music, and then the AI has the caller again")
def phone_reboots(desk):
    baton, voices, legs, transfer = asked(desk, UP + HUNG_UP_ON, hold=60000)
    accepted(baton, transfer)
    bridged_to(desk, baton, voices, transfer["id"], "michael")
    legs["ai"].finish()
    fresh = desk.party("ai", "answers", ring=300, talk=60000)
    legs["michael"].kill()
    voices["michael"].speaking, voices["michael"].remote = False, None
    fresh.wait_for("received", "ACK", 45)
    both_hear(voices["caller"], voices["ai"], desk.let_them_talk(1.5))


def by_hand_up(desk):
    """A call whose caller is played by hand; gives the daemon, the AI, the caller, and what a BYE of the caller would be."""
    baton = desk.serve()
    ai, caller = desk.party("ai", "answers"), by_hand(desk, baton, "caller")
    me, them = "<sip:+15550123@127.0.0.1>;tag=c1", f"<sip:+15550100@{baton.target}>"
    uri, them = up(caller, baton, me, them)
    return baton, ai, caller, caller.request("BYE", uri, me, them, "hand@caller", 2)


def ends_from_elsewhere(desk, baton, bye):
    """The BYE comes from a port that nobody has heard of, and its 200 goes back there."""
    moved = Phone(baton.base + 8, baton.target, 9)
    desk.at_end(moved.close)
    moved.send(bye.replace("branch=", "rport;branch="))
    moved.receive("SIP/2.0 200")


@case("a NAT gives the caller another port for signalling: the BYE is taken all the same")
def signalling_of_the_caller_moves(desk):
    baton, ai, _, bye = by_hand_up(desk)
    ends_from_elsewhere(desk, baton, bye)
    ai.finish()
    all_over(baton)


@case("a NAT gives the AE another port for signalling: the BYE is taken all the same")
def signalling_of_the_ae_moves(desk):
    baton, _, caller, _ = by_hand_up(desk)
    transfer = baton.transfer(baton.call())
    michael = by_hand(desk, baton, "michael")
    invite = michael.receive("INVITE")
    michael.send(michael.response(invite, "200 OK", sdp=True))
    michael.receive("ACK")
    accepted(baton, transfer)
    ends_from_elsewhere(desk, baton, michael.request_in(invite, "BYE", 1))
    caller.send(caller.response(caller.receive("BYE"), "200 OK"))
    all_over(baton)


@case("a NAT gives the caller, and the AE, another port for RTP: the sound follows")
def sound_moves(desk):
    baton, voices, legs, transfer = asked(desk, "answers", ring=200, talk=20000)
    accepted(baton, transfer)
    bridged_to(desk, baton, voices, transfer["id"], "michael")
    for role, other in (("caller", "michael"), ("michael", "caller")):
        moved = desk.moved(voices[role])
        voices[role] = moved
        time.sleep(2.5)
        span = desk.let_them_talk(1)
        expect(voices[other].hears(TONES[role], *span), f"{other} still hears {role}")
        expect(moved.hears(TONES[other], *span), f"{role} hears {other} at the new port: {moved.level(TONES[other], *span):.0f} dBFS")
