"""Beyond the main road: TCP both ways, hold and glare, calls that Baton places."""

import re

from lab.desk import expect
from lab.phone import field
from lab.sipp import header

from . import case
from .calls import both_hear, end_by_caller
from .transfers import bridged_to, by_hand, conversation


@case("TCP in and out: the trunk calls over TCP, the AI is called over TCP")
def tcp_both_ways(desk):
    desk.serve(ai_parameters=";transport=tcp")
    caller, ai = desk.voice("caller"), desk.voice("ai")
    ai_leg = desk.party("ai", "answers", transport="t1")
    caller_leg = desk.party("caller", "caller", transport="t1", hold=2500)
    desk.baton.call()
    both_hear(caller, ai, desk.let_them_talk(1.5))
    end_by_caller(caller_leg, ai_leg)
    invite = ai_leg.first("received", "INVITE")
    expect(header(invite, "Via").startswith("SIP/2.0/TCP"), f"the INVITE says TCP: {header(invite, 'Via')}")
    expect("transport=tcp" in header(invite, "Contact").lower(), f"and wants to be answered so: {header(invite, 'Contact')}")


@case("a warm transfer to an AE who is called over TCP")
def tcp_to_the_ae(desk):
    baton, voices, legs, call = conversation(desk, michael_parameters=";transport=tcp")
    legs["michael"] = desk.party("michael", "answers", transport="t1", ring=300, talk=4000)
    transfer = baton.transfer(call)
    baton.transfer_in(transfer["id"], ("briefing",))
    voices["michael"].press("1")
    bridged_to(desk, baton, voices, transfer["id"], "michael")


@case("the caller puts the call on hold and comes back")
def held_by_the_caller(desk):
    baton = desk.serve()
    desk.voice("caller")
    ai = desk.voice("ai")
    desk.party("ai", "answers")
    caller = by_hand(desk, baton, "caller")
    me, them = "<sip:+15550123@127.0.0.1>;tag=c1", f"<sip:+15550100@{baton.target}>"
    uri, them = up(caller, baton, me, them)
    both_hear(desk_voice(desk, "caller"), ai, desk.let_them_talk(1))
    for cseq, ours, theirs in ((2, "sendonly", "recvonly"), (3, "sendrecv", "sendrecv")):
        caller.send(caller.request("INVITE", uri, me, them, "hand@caller", cseq, sdp=True).replace("a=sendrecv", f"a={ours}"))
        answer = caller.receive("SIP/2.0 200")
        expect(f"a={theirs}" in answer or theirs == "sendrecv" and "a=recvonly" not in answer, f"{ours} is answered with {theirs}: {answer!r}")
        caller.send(caller.request("ACK", uri, me, them, "hand@caller", cseq, branch=f"z9hG4bKheld{cseq}"))
    both_hear(desk_voice(desk, "caller"), ai, desk.let_them_talk(1))


def desk_voice(desk, role):
    """The voice of a role that sings already."""
    return next(voice for voice in desk._choir.voices if voice.name == role)


def up(caller, baton, me, them):
    """Calls by hand; gives where the dialog goes and its far end."""
    caller.send(caller.request("INVITE", f"sip:+15550100@{baton.target}", me, them, "hand@caller", 1, sdp=True))
    answer = caller.receive("SIP/2.0 200")
    uri, them = field(answer, "Contact").split("<")[1].split(">")[0], field(answer, "To")
    caller.send(caller.request("ACK", uri, me, them, "hand@caller", 1, branch="z9hG4bKack1"))
    baton.call()
    return uri, them


@case("glare: an offer that comes while ours is unanswered gets 491, and passes once it is tried again")
def glare(desk):
    baton = desk.serve()
    desk.party("ai", "answers")
    caller = by_hand(desk, baton, "caller")
    me, them = "<sip:+15550123@127.0.0.1>;tag=c1", f"<sip:+15550100@{baton.target}>"
    uri, them = up(caller, baton, me, them)
    caller.send(caller.request("INVITE", uri, me, them, "hand@caller", 2))
    offer = caller.receive("SIP/2.0 200")
    expect("m=audio" in offer, "an INVITE without an offer gets one")
    caller.send(caller.request("INVITE", uri, me, them, "hand@caller", 3, sdp=True))
    refusal = caller.receive("SIP/2.0 491")
    caller.send(caller.request("ACK", uri, me, field(refusal, "To"), "hand@caller", 3, branch=f"z9hG4bK{caller.port}INVITE3"))
    caller.send(caller.request("ACK", uri, me, them, "hand@caller", 2, sdp=True, branch="z9hG4bKack2"))
    caller.send(caller.request("INVITE", uri, me, them, "hand@caller", 4, sdp=True))
    answer = caller.receive("SIP/2.0 200")
    expect("4 INVITE" in field(answer, "CSeq"), f"the second try is answered: {field(answer, 'CSeq')}")
    caller.send(caller.request("ACK", uri, me, them, "hand@caller", 4, branch="z9hG4bKack4"))
    expect(baton.call()["state"] == "active", "the call goes on")


@case("POST /v1/calls: the callee is dialled over the trunk, and talks with the AI")
def outbound(desk):
    baton = desk.serve()
    callee_voice, ai = desk.voice("caller"), desk.voice("ai")
    ai_leg = desk.party("ai", "answers")
    ports, baton.ports["caller"] = dict(baton.ports), baton.ports["trunk"]
    callee = desk.party("caller", "answers", ring=400, talk=4000)
    baton.ports.update(ports)
    status, placed = baton.ask("POST", "/v1/calls", {"to": "+15550177", "from": "+15550100", "ai": "agent", "context": {"intent": "renewal"}})
    expect(status == 201, f"the call is placed: {status} {placed}")
    call = baton.call()
    expect(call["id"] == placed["id"], "it is this call that is up")
    both_hear(callee_voice, ai, desk.let_them_talk(1.5))
    invite = callee.first("received", "INVITE")
    expect("+15550177" in invite.text.splitlines()[0], f"the number is dialled: {invite.text.splitlines()[0]}")
    expect("+15550100" in (header(invite, "From") or ""), f"and sees who calls: {header(invite, 'From')}")
    callee.finish()
    ai_leg.finish()
    ended = baton.wait("the call is over", lambda: (c := baton.get(f"/v1/calls/{call['id']}"))["state"] == "ended" and c, 3)
    expect(ended["ended_at"], "an ended call says when")


@case("POST /v1/calls to a premium number is refused, and nobody is dialled")
def outbound_refused(desk):
    baton = desk.serve()
    status, said = baton.ask("POST", "/v1/calls", {"to": "+19005550100", "ai": "agent"})
    expect(status == 403 and re.match(r"urn:baton:problem", said.get("type", "")), f"refused by rule: {status} {said}")
    expect(not baton.get("/v1/calls")["items"], "there is no call")
