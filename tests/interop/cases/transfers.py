"""Warm transfers: acceptance, the next AE, and callers who leave."""

import hashlib
import re
import time
import urllib.request

from lab.desk import TONES, expect
from lab.phone import Phone, field
from lab.sipp import header

from . import case
from .calls import both_hear

CONTEXT = {"caller": {"name": "Jamie <b>", "company": "NovaCorp"}, "intent": "pricing", "summary": "Wants a quote for 500 seats."}


def conversation(desk, hold=25000, **settings):
    """A call between caller and AI with voices for all; gives the daemon, the voices, the legs and the call."""
    baton = desk.serve(**settings)
    voices = {role: desk.voice(role) for role in TONES}
    legs = {"ai": desk.party("ai", "answers")}
    legs["caller"] = desk.party("caller", "caller", hold=hold)
    return baton, voices, legs, baton.call()


def bridged_to(desk, baton, voices, transfer_id, ae):
    """Checks a bridge from what was heard: the caller and the AE each other, nobody the AI, no break, no long gap."""
    done = baton.transfer_over(transfer_id)
    expect(done["state"] == done["outcome"] == "bridged", f"the transfer is bridged: {done}")
    caller, human = voices["caller"], voices[ae]
    span = desk.let_them_talk(1.5)
    expect(caller.hears(TONES[ae], *span), f"the caller hears {ae}: {caller.level(TONES[ae], *span):.0f} dBFS")
    expect(human.hears(TONES["caller"], *span), f"{ae} hears the caller: {human.level(TONES['caller'], *span):.0f} dBFS")
    expect(caller.hears_nothing_of(TONES["ai"], *span), f"the AI is gone: {caller.level(TONES['ai'], *span):.0f} dBFS")
    expect(not caller.breaks(), f"one stream towards the caller for life: {caller.breaks()[:3]}")
    gap = caller.longest_gap_ms(caller.heard[0].at, span[1])
    expect(gap <= 120, f"the caller is never without packets; the longest gap was {gap:.0f} ms")
    return done


def accepted_privately(voices, ae, ringing_at, accepted_at):
    """Until acceptance the caller hears nothing of the AE and the AE nothing of the caller."""
    span = ringing_at, accepted_at
    expect(voices["caller"].hears_nothing_of(TONES[ae], *span), "the caller hears nothing of the consult")
    expect(voices[ae].hears_nothing_of(TONES["caller"], *span), f"{ae} hears nothing of the caller before accepting")


def ends_after_ae(baton, legs, call_id, ae):
    """The AE hangs up: the call is over for everybody."""
    legs[ae].finish(20)
    legs["caller"].finish()
    expect(legs["caller"].first("received", "BYE"), "the AE's BYE ends the caller's leg")
    baton.wait("the call is over", lambda: baton.get(f"/v1/calls/{call_id}")["state"] == "ended", 3)


@case("warm transfer accepted by telephone-event")
def by_telephone_event(desk):
    baton, voices, legs, call = conversation(desk)
    both_hear(voices["caller"], voices["ai"], desk.let_them_talk(0.8))
    legs["michael"] = desk.party("michael", "answers", ring=400, talk=7000)
    began = time.time()
    transfer = baton.transfer(call, context=CONTEXT)
    baton.transfer_in(transfer["id"], ("briefing",))
    time.sleep(1.2)
    accepted_privately(voices, "michael", began, time.time())
    pressed = time.time()
    voices["michael"].press("1")
    done = bridged_to(desk, baton, voices, transfer["id"], "michael")
    first = next(p.at for p in voices["caller"].heard if p.at > pressed and voices["caller"].hears(TONES["michael"], p.at - 0.001, p.at + 0.06))
    expect((first - pressed) * 1000 <= 400, f"the AE is heard soon after the key: {(first - pressed) * 1000:.0f} ms")
    legs["ai"].finish()
    expect(legs["ai"].first("received", "BYE"), "the AI gets a BYE at the bridge")
    expect([a["outcome"] for a in done["attempts"]] == ["accepted"], f"one accepted attempt: {done['attempts']}")
    dropped = baton.wait("the AI has taken its BYE", lambda: (t := baton.get(f"/v1/transfers/{transfer['id']}"))["ai_drop_ms"] is not None and t, 5)
    expect(dropped["ai_drop_ms"] <= 60, f"the AI is dropped within 60 ms: {dropped['ai_drop_ms']}")
    expect(baton.get(f"/v1/calls/{call['id']}")["driver"] == "human", "the human drives")
    ends_after_ae(baton, legs, call["id"], "michael")


@case("the consult INVITE tells a trusted AE who calls, and its screen-pop is there before the phone rings")
def screen_pop(desk):
    baton, voices, legs, call = conversation(desk)
    legs["michael"] = desk.party("michael", "answers", ring=6000)
    transfer = baton.transfer(call, context=CONTEXT)
    invite = legs["michael"].wait_for("received", "INVITE")
    link = header(invite, "Call-Info").split(">")[0].lstrip("<")
    with urllib.request.urlopen(link, timeout=5) as answer:
        page = answer.read().decode()
    expect("NovaCorp" in page and "Jamie &lt;b&gt;" in page and "<b>" not in page.replace("<body", ""), "the page shows the caller, escaped")
    expect(header(invite, "X-Baton-Transfer") == transfer["id"], "X-Baton-Transfer names the transfer")
    expect(header(invite, "X-Baton-Call") == call["id"], "X-Baton-Call names the call")
    told = header(invite, "User-to-User") or ""
    expect(told.endswith(";encoding=hex") and transfer["id"] in bytes.fromhex(told.split(";")[0]).decode(), f"User-to-User carries the id: {told}")
    expect("NovaCorp" in header(invite, "From"), f"From says who calls: {header(invite, 'From')}")
    asked_again = baton.transfer(call)
    expect(asked_again["id"] == transfer["id"], "a second request while one runs gives the running one")


@case("warm transfer accepted by SIP INFO")
def by_info(desk):
    baton, voices, legs, call = conversation(desk)
    legs["michael"] = desk.party("michael", "answers_and_sends_info", codec="pcmu without events", wait=1500, talk=5000)
    transfer = baton.transfer(call)
    bridged_to(desk, baton, voices, transfer["id"], "michael")
    ends_after_ae(baton, legs, call["id"], "michael")


@case("warm transfer accepted over HTTP")
def by_http(desk):
    baton, voices, legs, call = conversation(desk)
    legs["michael"] = desk.party("michael", "answers", talk=5000)
    transfer = baton.transfer(call)
    baton.transfer_in(transfer["id"], ("briefing",))
    status, said = baton.ask("POST", f"/v1/transfers/{transfer['id']}/accept", {})
    expect(status in (200, 202), f"the acceptance is taken: {status} {said}")
    bridged_to(desk, baton, voices, transfer["id"], "michael")


@case("no answer: the phone is cancelled and the backup takes the call")
def no_answer(desk):
    baton, voices, legs, call = conversation(desk, ring_max="2s")
    legs["michael"] = desk.party("michael", "rings")
    legs["sara"] = desk.party("sara", "answers", talk=4000)
    transfer = baton.transfer(call)
    legs["michael"].finish()
    to_sara(desk, baton, voices, transfer, {"outcome": "no_answer"})


def to_sara(desk, baton, voices, transfer, first):
    """The first attempt ended as told; Sara accepts by key."""
    baton.transfer_in(transfer["id"], ("briefing",), 15)
    time.sleep(0.3)
    voices["sara"].press("1")
    done = bridged_to(desk, baton, voices, transfer["id"], "sara")
    expect([a["ae"] for a in done["attempts"]] == ["michael", "sara"], f"Michael, then Sara: {done['attempts']}")
    seen = {key: done["attempts"][0][key] for key in first}
    expect(seen == first, f"the first attempt ended as {first}: {seen}")
    expect(done["attempts"][1]["outcome"] == "accepted", f"Sara accepted: {done['attempts'][1]}")


@case("busy (486): the next AE")
def busy(desk):
    baton, voices, legs, call = conversation(desk)
    legs["michael"] = desk.party("michael", "refuses", status=486, phrase="Busy Here")
    legs["sara"] = desk.party("sara", "answers", talk=4000)
    transfer = baton.transfer(call)
    to_sara(desk, baton, voices, transfer, {"outcome": "busy", "sip_status": 486})
    legs["michael"].finish()


@case("declined (603): the next AE")
def declined(desk):
    baton, voices, legs, call = conversation(desk)
    legs["michael"] = desk.party("michael", "refuses", status=603, phrase="Decline")
    legs["sara"] = desk.party("sara", "answers", talk=4000)
    transfer = baton.transfer(call)
    to_sara(desk, baton, voices, transfer, {"outcome": "declined", "sip_status": 603})
    legs["michael"].finish()


@case("unreachable (nothing answers at all): the next AE")
def unreachable(desk):
    baton, voices, legs, call = conversation(desk)
    deaf = Phone(baton.ports["michael"], baton.target, 9)
    desk.at_end(deaf.close)
    legs["sara"] = desk.party("sara", "answers", talk=4000)
    asked = time.time()
    transfer = baton.transfer(call)
    to_sara(desk, baton, voices, transfer, {"outcome": "unreachable"})
    waited = legs["sara"].first("received", "INVITE").at - asked
    expect(2.5 <= waited <= 4.0, f"three seconds without a word are enough; it took {waited:.1f} s")


@case("a wrong key does nothing, key 2 declines: with no other AE the AI has the caller again")
def declined_by_key(desk):
    baton, voices, legs, call = conversation(desk, backup=False)
    legs["michael"] = desk.party("michael", "answers")
    transfer = baton.transfer(call)
    baton.transfer_in(transfer["id"], ("briefing",))
    voices["michael"].press("7")
    time.sleep(0.6)
    expect(baton.get(f"/v1/transfers/{transfer['id']}")["state"] == "briefing", "a key without a meaning changes nothing")
    voices["michael"].press("2")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "returned_to_ai", f"back to the AI: {done}")
    time.sleep(2.5)
    both_hear(voices["caller"], voices["ai"], desk.let_them_talk(1))
    legs["michael"].finish()
    expect(legs["michael"].first("received", "BYE"), "the AE who declined gets a BYE")


@case("nobody free: the caller picks a callback by key, and it is there to fetch")
def callback(desk):
    baton, voices, legs, call = conversation(desk, backup=False)
    legs["michael"] = desk.party("michael", "refuses", status=486, phrase="Busy Here")
    transfer = baton.transfer(call, context={"caller": {"name": "Jamie", "timezone": "America/Chicago"}})
    baton.transfer_in(transfer["id"], ("offering",))
    time.sleep(1)
    voices["caller"].press("1")
    done = baton.transfer_over(transfer["id"], 20)
    expect(done["outcome"] == "callback_scheduled" and done["callback"], f"a callback stands: {done}")
    callback_id = done["callback"] if isinstance(done["callback"], str) else done["callback"]["id"]
    expect(any(one["id"] == callback_id for one in baton.get("/v1/callbacks")["items"]), "it is on the list")
    invitation = baton.get(f"/v1/callbacks/{callback_id}.ics")
    expect("BEGIN:VEVENT" in invitation and "DTSTART" in invitation, f"it is a calendar entry: {invitation!r}")


@case("the caller leaves while the AE's phone rings: CANCEL within 50 ms")
def abandoned(desk):
    baton, voices, legs, call = conversation(desk, hold=3000)
    legs["michael"] = desk.party("michael", "rings")
    transfer = baton.transfer(call)
    baton.transfer_in(transfer["id"], ("ringing",))
    legs["michael"].finish()
    legs["caller"].finish()
    legs["ai"].finish()
    late = (legs["michael"].first("received", "CANCEL").at - legs["caller"].first("sent", "BYE").at) * 1000
    # SIPp stamps what it sends after it has sent it: a quick answer may seem to have come a little before.
    expect(-5 <= late <= 50, f"CANCEL follows BYE within 50 ms; it took {late:.1f} ms")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "caller_abandoned", f"the caller abandoned: {done}")
    expect(done["attempts"][0]["outcome"] == "caller_gone", f"the attempt knows why: {done['attempts']}")


@case("an answer that crosses the CANCEL gets ACK and BYE")
def answered_too_late(desk):
    baton, voices, legs, call = conversation(desk, hold=3000)
    legs["michael"] = desk.party("michael", "answers_too_late")
    transfer = baton.transfer(call)
    legs["michael"].finish()
    legs["caller"].finish()
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "caller_abandoned", f"nobody is bridged: {done}")


def by_hand(desk, baton, name):
    """A phone that is played by hand."""
    phone = Phone(baton.ports[name], baton.target, baton.rtp[name])
    desk.at_end(phone.close)
    return phone


@case("early media of the AE is heard by nobody and is no answer")
def early_media(desk):
    baton, voices, legs, call = conversation(desk)
    phone, michael = by_hand(desk, baton, "michael"), voices["michael"]
    transfer = baton.transfer(call)
    invite = phone.receive("INVITE")
    michael.remote = ("127.0.0.1", int(re.search(r"^m=audio (\d+)", invite, re.M).group(1)))
    phone.send(phone.response(invite, "183 Session Progress", sdp=True))
    span = desk.let_them_talk(1.2)
    expect(baton.get(f"/v1/transfers/{transfer['id']}")["state"] == "ringing", "a 183 with SDP rings, and no more")
    expect(voices["caller"].hears_nothing_of(TONES["michael"], *span), "the caller hears nothing of it")
    expect(voices["ai"].hears_nothing_of(TONES["michael"], *span), "the AI hears nothing of it")
    phone.send(phone.response(invite, "200 OK", sdp=True))
    phone.receive("ACK")
    baton.transfer_in(transfer["id"], ("briefing",))
    michael.press("1")
    bridged_to(desk, baton, voices, transfer["id"], "michael")


@case("the AE puts the caller on hold and comes back: music in between")
def held(desk):
    baton, voices, legs, call = conversation(desk)
    phone, caller = by_hand(desk, baton, "michael"), voices["caller"]
    transfer = baton.transfer(call)
    invite = phone.receive("INVITE")
    phone.send(phone.response(invite, "200 OK", sdp=True))
    phone.receive("ACK")
    baton.transfer_in(transfer["id"], ("briefing",))
    voices["michael"].press("1")
    bridged_to(desk, baton, voices, transfer["id"], "michael")
    for cseq, ours, theirs in ((1, "sendonly", "recvonly"), (2, "sendrecv", "sendrecv")):
        phone.send(phone.request_in(invite, "INVITE", cseq, sdp=True).replace("a=sendrecv", f"a={ours}"))
        answer = phone.receive("SIP/2.0 200")
        expect(f"a={theirs}" in answer or theirs == "sendrecv" and "a=recvonly" not in answer, f"{ours} is answered with {theirs}: {answer!r}")
        phone.send(phone.request_in(invite, "ACK", cseq, branch=f"z9hG4bKheld{cseq}"))
        span = desk.let_them_talk(1.2)
        if ours == "sendonly":
            expect(caller.hears_nothing_of(TONES["michael"], *span), "on hold the caller hears nothing of the AE")
            expect(caller.loudness(*span) > -50, f"but music: {caller.loudness(*span):.0f} dBFS")
        else:
            expect(caller.hears(TONES["michael"], *span), "then they hear the AE again")
            expect(voices["michael"].hears(TONES["caller"], *span), "and the AE hears the caller")
    expect(not caller.breaks(), f"one stream towards the caller for life: {caller.breaks()[:3]}")


def instant(desk, answer_first):
    """BYE of the caller and 200 of the AE leave one after the other without a pause."""
    baton = desk.serve()
    legs = {"ai": desk.party("ai", "answers")}
    caller = Phone(baton.ports["caller"], baton.target, baton.rtp["caller"])
    michael = Phone(baton.ports["michael"], baton.target, baton.rtp["michael"])
    desk.at_end(caller.close), desk.at_end(michael.close)
    me, them = "<sip:+15550123@127.0.0.1>;tag=c1", f"<sip:+15550100@{baton.target}>"
    caller.send(caller.request("INVITE", f"sip:+15550100@{baton.target}", me, them, "instant@caller", 1, sdp=True))
    answer = caller.receive("SIP/2.0 200")
    them, uri = field(answer, "To"), field(answer, "Contact").split("<")[1].split(">")[0]
    caller.send(caller.request("ACK", uri, me, them, "instant@caller", 1, branch="z9hG4bKack1"))
    transfer = baton.transfer(baton.call())
    invite = michael.receive("INVITE")
    michael.send(michael.response(invite, "180 Ringing"))
    baton.transfer_in(transfer["id"], ("ringing",))
    ok, bye = michael.response(invite, "200 OK", sdp=True), caller.request("BYE", uri, me, them, "instant@caller", 2)
    for phone, text in ((michael, ok), (caller, bye)) if answer_first else ((caller, bye), (michael, ok)):
        phone.send(text)
    caller.receive("SIP/2.0 200")
    michael.receive("ACK", 3)
    ending = michael.receive("BYE", 6)
    michael.send(michael.response(ending, "200 OK"))
    legs["ai"].finish()
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "caller_abandoned", f"nobody is bridged: {done}")


@case("the caller's BYE in the same instant as the AE's 200, BYE first: ACK and BYE")
def instant_bye_first(desk):
    instant(desk, answer_first=False)


@case("the caller's BYE in the same instant as the AE's 200, 200 first: ACK and BYE")
def instant_answer_first(desk):
    instant(desk, answer_first=True)


def digest_holds(credentials, method, user, password):
    """Whether a digest with qop=auth and MD5 is what RFC 7616 wants of it."""
    said = {key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', credentials or "")}
    md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
    ours, theirs = md5(f"{user}:{said.get('realm')}:{password}"), md5(f"{method}:{said.get('uri')}")
    return said.get("response") == md5(":".join([ours, *(said.get(key, "") for key in ("nonce", "nc", "cnonce", "qop")), theirs]))


@case("a carrier that asks for a password gets it, and an AE behind it gets no private headers")
def through_a_trunk(desk):
    baton, voices, legs, call = conversation(desk, trunk_more='username = "baton"\npassword = "s3cret"', michael_more='trunk = "carrier"')
    desk.baton.ports["michael"], kept = desk.baton.ports["trunk"], desk.baton.ports["michael"]
    legs["michael"] = desk.party("michael", "challenges", talk=4000)
    desk.baton.ports["michael"] = kept
    transfer = baton.transfer(call, context=CONTEXT)
    baton.transfer_in(transfer["id"], ("briefing",))
    voices["michael"].press("1")
    bridged_to(desk, baton, voices, transfer["id"], "michael")
    first, second = legs["michael"].all("received", "INVITE")
    expect(digest_holds(header(second, "Proxy-Authorization"), "INVITE", "baton", "s3cret"), f"the digest is right: {header(second, 'Proxy-Authorization')}")
    for invite in (first, second):
        private = [name for name in ("X-Baton-Transfer", "X-Baton-Call", "User-to-User", "Call-Info") if header(invite, name)]
        expect(not private, f"nothing private goes to a carrier: {private}")


@case("twenty transfers one after the other leave nothing behind", full_only=True)
def twenty(desk):
    baton, voices, legs, call = conversation(desk, hold=8000)
    for _ in range(20):
        legs["michael"] = desk.party("michael", "answers", ring=50, talk=1000)
        transfer = baton.transfer(call)
        baton.transfer_in(transfer["id"], ("briefing",))
        voices["michael"].press("1")
        expect(baton.transfer_over(transfer["id"])["outcome"] == "bridged", "each is bridged")
        for leg in legs.values():
            leg.finish(15)
        for voice in voices.values():
            voice.heard.clear()
            voice.remote = None
        legs = {"ai": desk.party("ai", "answers")}
        legs["caller"] = desk.party("caller", "caller", hold=8000)
        call = baton.call()
    active = baton.get("/metrics")
    expect('baton_calls_active{leg="ae"} 0' in active, "no AE leg is left over")


@case("the AE has called the AI beside the call and joins the two (Replaces names a dialog of Baton's own): the caller is with the AI, and their call is over")
def joined_within(desk):
    baton = desk.serve()
    caller, ai, michael = (by_hand(desk, baton, role) for role in ("caller", "ai", "michael"))
    beside = Phone(baton.base + 8, baton.target, baton.rtp["sara"])
    desk.at_end(beside.close)

    def call_the_ai(phone, call_id):
        me, them = f"<sip:+15550123@127.0.0.1>;tag=t{phone.port}", f"<sip:+15550100@{baton.target}>"
        phone.send(phone.request("INVITE", f"sip:+15550100@{baton.target}", me, them, call_id, 1, sdp=True))
        ai.send(ai.response(ai.receive("INVITE"), "200 OK", tag=f"ai{phone.port}", sdp=True))
        answer = phone.receive("SIP/2.0 200")
        uri = field(answer, "Contact").split("<")[1].split(">")[0]
        phone.send(phone.request("ACK", uri, me, field(answer, "To"), call_id, 1, branch=f"z9hG4bKack{phone.port}"))
        return field(answer, "To").split("tag=")[1]
    call_the_ai(caller, "first@caller")
    call = baton.call()
    transfer = baton.transfer(call)
    invite = michael.receive("INVITE")
    michael.send(michael.response(invite, "200 OK", sdp=True))
    michael.receive("ACK")
    baton.transfer_in(transfer["id"], ("briefing",))
    baton.ask("POST", f"/v1/transfers/{transfer['id']}/accept")
    baton.transfer_in(transfer["id"], ("bridged",))
    ai.send(ai.response(ai.receive("BYE"), "200 OK"))
    tag = call_the_ai(beside, "beside@pbx")
    replaces = f"beside%40pbx%3Bto-tag%3D{tag}%3Bfrom-tag%3Dt{beside.port}"
    michael.send(michael.request_in(invite, "REFER", 1, more=f"Refer-To: <sip:+15550100@{baton.target}?Replaces={replaces}>\r\n"))
    michael.receive("SIP/2.0 202")
    fresh = ai.receive("INVITE")
    expect(field(fresh, "X-Baton-Resume") == transfer["id"], f"the AI is told what it resumes: {fresh!r}")
    expect("Replaces:" not in fresh, "and nothing of a dialog that is not its own")
    ai.send(ai.response(fresh, "200 OK", tag="fresh", sdp=True))
    beside.receive("BYE")
    michael.receive("BYE")
    baton.wait("the AI has the caller", lambda: baton.get(f"/v1/calls/{call['id']}")["driver"] == "ai", 5)
    live = baton.get("/v1/calls?live=true")["items"]
    expect([one["id"] for one in live] == [call["id"]], f"the call beside it is over: {live}")
