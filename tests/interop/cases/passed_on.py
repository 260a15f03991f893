"""Passed on: cold transfers by bridge and by REFER, and the way back to the AI."""

import time

from lab.desk import TONES, expect
from lab.phone import field
from lab.sipp import header

from . import case
from .calls import both_hear
from .transfers import bridged_to, by_hand, conversation


@case("a cold transfer by bridge: no briefing, no key, the AI is there until the answer")
def cold_by_bridge(desk):
    baton, voices, legs, call = conversation(desk)
    legs["michael"] = desk.party("michael", "answers", ring=1500, talk=5000)
    transfer = baton.transfer(call, mode="cold")
    baton.transfer_in(transfer["id"], ("ringing",))
    expect(not legs["ai"].first("received", "BYE"), "the AI is still there while it rings")
    done = bridged_to(desk, baton, voices, transfer["id"], "michael")
    expect(done["mode"] == "cold", f"it was cold: {done['mode']}")
    answered = legs["michael"].first("sent", "SIP/2.0 200").at
    expect(voices["michael"].hears(TONES["caller"], answered + 0.4, answered + 1.2), "the AE has the caller at once, without a briefing")
    legs["ai"].finish()
    dropped = legs["ai"].first("received", "BYE")
    expect(dropped and dropped.at >= answered - 0.005, "the AI is dropped at the answer, not before")


def referred_caller(desk):
    """A caller on a trunk that takes REFER, played by hand; gives the daemon, the phone, its dialog and the REFER that came."""
    baton = desk.serve(trunk_more='cold = "refer"')
    legs = {"ai": desk.party("ai", "answers")}
    caller = by_hand(desk, baton, "caller")
    me, them = "<sip:+15550123@127.0.0.1>;tag=c1", f"<sip:+15550100@{baton.target}>"
    caller.send(caller.request("INVITE", f"sip:+15550100@{baton.target}", me, them, "cold@caller", 1, sdp=True))
    answer = caller.receive("SIP/2.0 200")
    them, uri = field(answer, "To"), field(answer, "Contact").split("<")[1].split(">")[0]
    caller.send(caller.request("ACK", uri, me, them, "cold@caller", 1, branch="z9hG4bKack1"))
    transfer = baton.transfer(baton.call(), mode="cold")
    refer = caller.receive("REFER")

    def notify(cseq, status, last=False):
        state = "terminated;reason=noresource" if last else "active;expires=60"
        text = f"SIP/2.0 {status}\r\n"
        more = f"Event: refer\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag;version=2.0\r\n"
        message = caller.request("NOTIFY", uri, me, them, "cold@caller", cseq, more=more)
        caller.send(message.replace("Content-Length: 0\r\n\r\n", f"Content-Length: {len(text)}\r\n\r\n{text}"))
        caller.receive("SIP/2.0 200")
    return baton, legs, caller, transfer, refer, notify


@case("a cold transfer by REFER: the trunk takes the call on, and ours is kept until it says so")
def cold_by_refer(desk):
    baton, legs, caller, transfer, refer, notify = referred_caller(desk)
    expect("michael" in field(refer, "Refer-To") or "+15550142" in field(refer, "Refer-To"), f"to Michael: {field(refer, 'Refer-To')}")
    caller.send(caller.response(refer, "202 Accepted", tag="c1"))
    notify(2, "100 Trying")
    time.sleep(0.5)
    expect(not [text for text in caller.got if text.startswith("BYE")], "the original call is kept while the trunk tries")
    notify(3, "200 OK", last=True)
    ending = caller.receive("BYE")
    caller.send(caller.response(ending, "200 OK", tag="c1"))
    legs["ai"].finish()
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "referred", f"the outcome is referred: {done}")


@case("a cold transfer whose REFER is refused is made by bridge")
def cold_by_refer_refused(desk):
    baton, legs, caller, transfer, refer, _ = referred_caller(desk)
    desk.party("michael", "answers", ring=300, talk=2500)
    caller.send(caller.response(refer, "403 Forbidden", tag="c1"))
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the bridge way: {done}")
    legs["ai"].finish()
    ending = caller.receive("BYE", 8)
    caller.send(caller.response(ending, "200 OK", tag="c1"))


@case("the AE presses *9: the caller hears music and is with a fresh AI, which knows why")
def handed_back(desk):
    baton, voices, legs, call = conversation(desk)
    legs["michael"] = desk.party("michael", "answers", ring=200, talk=20000)
    transfer = baton.transfer(call)
    baton.transfer_in(transfer["id"], ("briefing",))
    voices["michael"].press("1")
    bridged_to(desk, baton, voices, transfer["id"], "michael")
    legs["ai"].finish()
    voices["ai"].heard.clear()
    fresh = desk.party("ai", "answers", ring=300)
    voices["michael"].press("*")
    time.sleep(0.5)
    pressed = time.time()
    voices["michael"].press("9")
    fresh.wait_for("received", "ACK")
    caller = voices["caller"]
    expect(caller.loudness(pressed + 0.25, pressed + 0.45) > -50, "the caller hears music at once")
    time.sleep(0.3)
    both_hear(caller, voices["ai"], desk.let_them_talk(1))
    invite = fresh.first("received", "INVITE")
    expect(header(invite, "X-Baton-Resume") == transfer["id"], f"the AI is told what it resumes: {header(invite, 'X-Baton-Resume')}")
    legs["michael"].finish()
    expect(legs["michael"].first("received", "BYE"), "the AE gets a BYE")
    expect(baton.get(f"/v1/calls/{call['id']}")["driver"] == "ai", "the AI drives again")
    expect(not caller.breaks(), f"one stream towards the caller for life: {caller.breaks()[:3]}")
