"""Real phones: baresip as caller and as AE, worked from its keyboard; what it heard is in its own recordings."""

import re
import time

from lab import sound
from lab.between import Between, cseq, is_reinvite
from lab.desk import TONES, expect
from lab.softphone import Softphone

from . import case
from .calls import both_hear

PHONES = ("sipp", "baresip")


def softphone(desk, role, user=None, rtp=None, **words):
    """A baresip at the ports that the configuration gives to `role`."""
    baton = desk.baton
    phone = Softphone(desk.folder, baton.ports[role], rtp or baton.rtp[role], TONES[role], user=user or role, **words)
    desk.at_end(phone.close)
    phone.wait_for("baresip is ready")
    return phone


def bridged_to_a_phone(desk, **settings):
    """A warm transfer that Michael has accepted on a baresip; gives the daemon, voices, legs, the phone, the call and the transfer."""
    baton = desk.serve(**settings)
    voices = {role: desk.voice(role) for role in ("caller", "ai")}
    phone = softphone(desk, "michael")
    legs = {"ai": desk.party("ai", "answers"), "caller": desk.party("caller", "caller", hold=25000)}
    call = baton.call()
    transfer = baton.transfer(call)
    phone.accept(baton, transfer)
    hears_michael(desk, voices["caller"])
    return baton, voices, legs, phone, call, transfer


def hears_michael(desk, caller, seconds=1.5):
    span = desk.let_them_talk(seconds)
    expect(caller.hears(TONES["michael"], *span), f"the caller hears the phone: {caller.level(TONES['michael'], *span):.0f} dBFS")
    expect(not caller.breaks(), f"one stream towards the caller for life: {caller.breaks()[:3]}")


def last_heard(phone, seconds=1):
    """The last second, or so, of what a phone has recorded, without its very end."""
    heard = phone.heard()
    return heard[-(seconds * sound.RATE + sound.RATE // 4):-sound.RATE // 4]


@case("baresip as the AE's phone: rings, hears the briefing, accepts by key, talks", needs=PHONES)
def baresip(desk):
    baton = desk.serve()
    caller, _ = desk.voice("caller"), desk.voice("ai")
    phone = softphone(desk, "michael")
    ai_leg = desk.party("ai", "answers")
    caller_leg = desk.party("caller", "caller", hold=14000)
    transfer = baton.transfer(baton.call(), context={"caller": {"name": "Jamie", "company": "NovaCorp"}, "intent": "pricing"})
    baton.transfer_in(transfer["id"], ("briefing",))
    briefed = time.time()
    time.sleep(2)
    phone.press("1")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}; {phone.screen[-300:]!r}")
    hears_michael(desk, caller, 2)
    ai_leg.finish()
    caller_leg.finish(20)
    phone.wait_for("terminated", 5)
    phone.close()
    heard = phone.heard()
    second = sound.RATE
    briefing, end = heard[:2 * second], heard[-2 * second:-second // 2]
    loudest = max((abs(sample) for sample in briefing), default=0)
    expect(loudest > 800, f"the phone plays the briefing; its loudest sample was {loudest} {time.time() - briefed:.0f} s ago")
    expect(sound.level(briefing, TONES["caller"]) < -45, "the briefing has nothing of the caller")
    expect(sound.level(end, TONES["caller"]) > -30, f"the phone hears the caller: {sound.level(end, TONES['caller']):.0f} dBFS")


@case("baresip over TCP as caller and as AE", full_only=True, needs=PHONES)
def phones_over_tcp(desk):
    baton = desk.serve(michael_parameters=";transport=tcp")
    ai = desk.voice("ai")
    caller, michael = softphone(desk, "caller", "+15550123"), softphone(desk, "michael")
    ai_leg = desk.party("ai", "answers")
    caller.say(f"dial sip:+15550100@{baton.target};transport=tcp")
    caller.wait_for("Call established")
    call = baton.call()
    span = desk.let_them_talk(1.5)
    expect(ai.hears(TONES["caller"], *span), f"the AI hears the phone: {ai.level(TONES['caller'], *span):.0f} dBFS")
    transfer = baton.transfer(call)
    baton.transfer_in(transfer["id"], ("briefing",))
    michael.press("1")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}; {michael.screen[-300:]!r}")
    ai_leg.finish()
    time.sleep(2)
    michael.say("hangup")
    caller.wait_for("terminated")
    for phone, other in ((caller, "michael"), (michael, "caller")):
        phone.close()
        heard = last_heard(phone)
        expect(sound.level(heard, TONES[other]) > -30, f"the phone hears {other}: {sound.level(heard, TONES[other]):.0f} dBFS")
    baton.wait("the call is over", lambda: baton.get(f"/v1/calls/{call['id']}")["state"] == "ended", 3)


@case("baresip holds as the AE: the caller hears music, and then the AE again", full_only=True, needs=PHONES)
def phone_holds(desk):
    _, voices, _, phone, _, _ = bridged_to_a_phone(desk)
    caller = voices["caller"]
    phone.say("hold")
    phone.wait_for("call: hold")
    time.sleep(0.3)
    span = desk.let_them_talk(1.2)
    expect(caller.hears_nothing_of(TONES["michael"], *span), f"on hold the caller hears nothing of the AE: {caller.level(TONES['michael'], *span):.0f}")
    expect(caller.loudness(*span) > -50, f"but music: {caller.loudness(*span):.0f} dBFS")
    phone.say("resume")
    phone.wait_for("call: resume")
    time.sleep(0.3)
    hears_michael(desk, caller)


@case("baresip holds as the caller, and comes back to the AI", full_only=True, needs=PHONES)
def calling_phone_holds(desk):
    baton = desk.serve()
    ai = desk.voice("ai")
    phone = softphone(desk, "caller", "+15550123")
    ai_leg = desk.party("ai", "answers")
    phone.say(f"dial sip:+15550100@{baton.target}")
    phone.wait_for("Call established")
    call = baton.call()
    for command, is_heard in (("hold", False), ("resume", True)):
        phone.say(command)
        phone.wait_for(f"call: {command}")
        time.sleep(0.3)
        span = desk.let_them_talk(1)
        expect(ai.hears(TONES["caller"], *span) == is_heard, f"{command}: the AI hears the caller at {ai.level(TONES['caller'], *span):.0f} dBFS")
    # baresip records nothing after a hold of its own, but shows what comes: bits a second, sent and received.
    seen = len(phone.screen)
    baton.wait("the phone receives sound again", lambda: re.search(r"audio=[1-9]\d*/[1-9]\d*", phone.screen[seen:]), 10)
    phone.say("hangup")
    ai_leg.finish()
    baton.wait("the call is over", lambda: baton.get(f"/v1/calls/{call['id']}")["state"] == "ended", 3)


@case("baresip hands the caller back by *9: music at once, then a fresh AI", full_only=True, needs=PHONES)
def phone_hands_back(desk):
    baton, voices, legs, phone, call, transfer = bridged_to_a_phone(desk)
    legs["ai"].finish()
    voices["ai"].heard.clear()
    fresh = desk.party("ai", "answers", ring=300)
    phone.press("*")
    time.sleep(0.4)
    phone.press("9")
    fresh.wait_for("received", "ACK")
    answered = time.time()
    caller = voices["caller"]
    invite = fresh.first("received", "INVITE")
    expect(caller.loudness(invite.at, answered) > -50, f"music until the AI is there: {caller.loudness(invite.at, answered):.0f} dBFS")
    time.sleep(0.4)
    both_hear(caller, voices["ai"], desk.let_them_talk(1))
    phone.wait_for("terminated")
    expect(baton.get(f"/v1/calls/{call['id']}")["driver"] == "ai", "the AI drives again")
    expect(not caller.breaks(), f"one stream towards the caller for life: {caller.breaks()[:3]}")


@case("a cold transfer by bridge to a baresip: no key, no briefing", full_only=True, needs=PHONES)
def cold_to_a_phone(desk):
    baton = desk.serve()
    caller, _ = desk.voice("caller"), desk.voice("ai")
    phone = softphone(desk, "michael")
    ai_leg, caller_leg = desk.party("ai", "answers"), desk.party("caller", "caller", hold=8000)
    transfer = baton.transfer(baton.call(), mode="cold")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}; {phone.screen[-300:]!r}")
    hears_michael(desk, caller)
    ai_leg.finish()
    caller_leg.finish(15)
    phone.wait_for("terminated")
    phone.close()
    first = phone.heard()[sound.RATE // 2:sound.RATE * 3 // 2]
    expect(sound.level(first, TONES["caller"]) > -30, f"the phone has the caller from the first second: {sound.level(first, TONES['caller']):.0f} dBFS")


@case("a cold transfer by REFER with a baresip as the caller: it calls the AE itself, and Baton leaves", full_only=True, needs=PHONES)
def phone_is_referred(desk):
    baton = desk.serve(trunk_more='cold = "refer"')
    michael = desk.voice("michael")
    phone = softphone(desk, "caller", "+15550123", rtp=baton.rtp["sara"], rtp_count=4)
    ai_leg, michael_leg = desk.party("ai", "answers"), desk.party("michael", "answers", ring=500, talk=6000)
    phone.say(f"dial sip:+15550100@{baton.target}")
    phone.wait_for("Call established")
    call = baton.call()
    transfer = baton.transfer(call, mode="cold")
    invite = michael_leg.wait_for("received", "INVITE")
    expect(f":{baton.ports['caller']}" in invite.text, f"it is the phone that calls Michael: {invite.text[:200]!r}")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "referred", f"the outcome is referred: {done}; {phone.screen[-300:]!r}")
    ai_leg.finish()
    span = desk.let_them_talk(1.5)
    expect(michael.hears(TONES["caller"], *span), f"Michael hears the phone: {michael.level(TONES['caller'], *span):.0f} dBFS")
    baton.wait("Baton's call is over", lambda: baton.get(f"/v1/calls/{call['id']}")["state"] == "ended", 5)


@case("baresip as the AE transfers the caller on by REFER: the next AE has them", full_only=True, needs=PHONES)
def phone_transfers_on(desk):
    baton, voices, _, phone, call, _ = bridged_to_a_phone(desk)
    voices["sara"] = desk.voice("sara")
    desk.party("sara", "answers", ring=300, talk=15000)
    phone.say(f"transfer sip:sara@{baton.target}")
    caller, sara = voices["caller"], voices["sara"]
    baton.wait("Sara hears the caller", lambda: len(sara.heard) > 100 and sara.hears(TONES["caller"], time.time() - 0.5, time.time()), 10)
    span = desk.let_them_talk(1)
    expect(caller.hears(TONES["sara"], *span), f"the caller hears Sara: {caller.level(TONES['sara'], *span):.0f} dBFS")
    phone.wait_for("terminated")
    expect(baton.get(f"/v1/calls/{call['id']}")["driver"] == "human", "the human drives")
    expect(not caller.breaks(), f"one stream towards the caller for life: {caller.breaks()[:3]}")


def refreshed_by_baton(by, text):
    """Baton is to see to it that the session goes on, every 45 s (RFC 4028): so it sends re-INVITEs. The phone knows nothing of it."""
    if by == "phone" and text.startswith("SIP/2.0 200") and re.search(r"^CSeq: \d+ INVITE", text, re.M) and "Session-Expires" not in text:
        return text.replace("\r\nContact:", "\r\nSession-Expires: 90;refresher=uac\r\nContact:", 1)
    if by == "phone" and text.startswith("INVITE ") and "Session-Expires" not in text:
        return text.replace("\r\nContact:", "\r\nSupported: timer\r\nSession-Expires: 90;refresher=uas\r\nContact:", 1)
    return text


def crossed(between, phone, command):
    """The phone sends its re-INVITE while Baton's is on the way: each has refused the other's, and both come through when they are tried again.
    Gives how long Baton waited before it tried again."""
    refused = lambda by: [one for one in between.all(by, "SIP/2.0 491") if one.at >= began]
    wait_until("Baton's re-INVITE is on its way", between.held, 60)
    began = time.time()
    offer = cseq(between.held())
    phone.say(command)
    phone.wait_for(f"call: {command}")
    wait_until("Baton refuses the phone's re-INVITE with 491", lambda: refused("baton"), 4)
    wait_until("the phone refuses Baton's re-INVITE", lambda: refused("phone") or between.all("phone", "SIP/2.0 5", began), 4)
    expect(refused("phone"), f"with 491: {[one.text.splitlines()[0] for one in between.all('phone', 'SIP/2.0', began)]}")
    at = refused("phone")[0].at
    again = lambda: [one for one in between.all("baton", "INVITE", at) if is_reinvite(one.text) and cseq(one.text) != offer]
    wait_until("Baton tries again", again, 6)
    took = again()[0].at - at
    answered = lambda: [one for one in between.all("phone", "SIP/2.0 200", at) if cseq(one.text) == cseq(again()[0].text)]
    wait_until("and is answered", answered, 4)
    return took


def wait_until(what, look, seconds):
    until = time.monotonic() + seconds
    while not look():
        expect(time.monotonic() < until, f"{what}: not within {seconds} s")
        time.sleep(0.01)


@case("glare with baresip, as the AE and as the caller: 491 to both, and both try again in their time; then each holds and comes back", needs=PHONES)
def phones_glare(desk):
    baton = desk.serve()
    ports = {role: baton.base + place for role, place in (("caller", 8), ("michael", 18))}
    between = {role: Between(baton.ports[role], port, port + 1, baton.target, refreshed_by_baton) for role, port in ports.items()}
    phones = {}
    for role, user in (("caller", "+15550123"), ("michael", "michael")):
        desk.at_end(between[role].close)
        between[role].cross()
        phones[role] = Softphone(desk.folder, ports[role] + 1, baton.rtp[role], TONES[role], user=user)
        desk.at_end(phones[role].close)
        phones[role].wait_for("baresip is ready")
    desk.voice("ai"), desk.party("ai", "answers")
    phones["caller"].say(f"dial sip:+15550100@127.0.0.1:{ports['caller']}")
    phones["caller"].wait_for("Call established")
    call = baton.call()
    transfer = baton.transfer(call)
    baton.transfer_in(transfer["id"], ("briefing",))
    phones["michael"].press("1")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}; {phones['michael'].screen[-300:]!r}")
    # RFC 3261 §14.1: whoever has made the call waits 2.1 to 4 s, the other at most 2 s. Baton has called Michael, and was called by the caller.
    for role, least, most in (("caller", 0.0, 2.0), ("michael", 2.1, 4.0)):
        took = crossed(between[role], phones[role], "hold")
        expect(least <= took <= most + 0.3, f"{role}: Baton tries again after {least} to {most} s; it was {took:.2f} s")
        held = lambda: [one for one in between[role].all("baton", "SIP/2.0 200") if "a=recvonly" in one.text]
        if not held():
            phones[role].say("resume"), phones[role].say("hold")
        wait_until(f"the hold of {role} comes through", held, 6)
        phones[role].say("resume")
        phones[role].wait_for("call: resume")
    view = baton.get(f"/v1/calls/{call['id']}")
    expect(view["state"] == "active" and view["driver"] == "human", f"the call goes on: {view}")
    for phone in phones.values():
        seen = len(phone.screen)
        baton.wait("the phone receives sound again", lambda: re.search(r"audio=[1-9]\d*/[1-9]\d*", phone.screen[seen:]), 10)
    phones["michael"].say("hangup")
    baton.wait("the call is over", lambda: baton.get(f"/v1/calls/{call['id']}")["state"] == "ended", 5)
