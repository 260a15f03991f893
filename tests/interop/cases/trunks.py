"""Trunks that want a registration, and phones that register with Baton."""

import time

from lab.desk import TONES, expect
from lab.kamailio import Kamailio
from lab.phone import Phone, field
from lab.softphone import Softphone

from . import case
from .phones import hears_michael
from .transfers import conversation

REGISTRAR = """\
children=2
auto_aliases=no
alias="carrier.example"
listen=udp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "siputils.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("auth", "nonce_expire", 300)
request_route {{
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("REGISTER")) {{
        if (!pv_auth_check("carrier.example", "secret", "0", "1")) {{
            auth_challenge("carrier.example", "1");
            exit;
        }}
        save("location");
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) t_relay(); else if (is_method("ACK") && t_check_trans()) t_relay();
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (is_method("INVITE") && lookup("location")) {{
        record_route();
        t_relay();
        exit;
    }}
    sl_send_reply("404", "Not Here");
}}
"""


def the_trunk(baton):
    return baton.get("/v1/trunks")["items"][0]


@case("Kamailio as the carrier's registrar: Baton registers with digest, is seen to, and takes it back", needs=("kamailio",))
def registers(desk):
    front = {}

    def text_of(baton):
        front["port"] = baton.base + 9
        trunk = f'username = "4711"\npassword = "secret"\nregister = true\nregistrar = "carrier.example"\noptions = "5s"\n'
        text = baton.usual.replace(f"sip:127.0.0.1:{baton.ports['trunk']}", f"sip:127.0.0.1:{front['port']}")
        desk.at_end(Kamailio(desk.folder, REGISTRAR.format(port=front["port"]), front["port"]).close)
        return text.replace('sources = ["127.0.0.1/32"]\n', f'sources = ["127.0.0.1/32"]\n{trunk}')

    baton = desk.serve(text_of=text_of)
    baton.wait("the trunk takes the registration", lambda: (the_trunk(baton)["registration"] or {}).get("state") == "registered", 10)
    baton.wait("and answers OPTIONS", lambda: the_trunk(baton)["state"] == "up", 10)
    trunk = the_trunk(baton)
    expect(trunk["addresses"][0]["address"] == f"udp:127.0.0.1:{front['port']}", f"at its address: {trunk}")
    metrics = baton.text("/metrics") if hasattr(baton, "text") else ""
    if metrics:
        expect('baton_trunk_registered{trunk="carrier"} 1' in metrics, "the gauge says so too")


@case("baresip registers with Baton, is rung where it is, and is away when it has gone", full_only=True, needs=("sipp", "baresip"))
def phone_registers(desk):
    def text_of(baton):
        old = f'uri = "sip:michael@127.0.0.1:{baton.ports["michael"]}"\n'
        expect(old in baton.usual, "the configuration has Michael's address")
        return baton.usual.replace(old, 'password = "secret"\ndigest = "md5"\n')

    baton = desk.serve(text_of=text_of)

    def michael():
        return next(ae for ae in baton.get("/v1/aes")["items"] if ae["id"] == "michael")

    expect((michael()["phone"], michael()["state"]) == ("gone", "away"), f"nobody has registered: {michael()}")
    account = "auth_user=michael;auth_pass=secret;regint=60"
    phone = Softphone(desk.folder, baton.ports["michael"], baton.rtp["michael"], TONES["michael"], account=account, host=baton.target)
    desk.at_end(phone.close)
    phone.wait_for("baresip is ready")
    baton.wait("the phone has registered", lambda: michael()["phone"] == "registered" and michael()["state"] == "available", 15)
    voices = {role: desk.voice(role) for role in ("caller", "ai")}
    desk.party("ai", "answers")
    desk.party("caller", "caller", hold=12000)
    transfer = baton.transfer(baton.call())
    phone.accept(baton, transfer)
    hears_michael(desk, voices["caller"])
    phone.say("quit")
    baton.wait("it takes its registration back", lambda: michael()["phone"] == "gone", 10)


@case("a wrong password registers nobody, and the log says so", full_only=True, needs=("baresip",))
def wrong_password(desk):
    def text_of(baton):
        return baton.usual.replace(f'uri = "sip:michael@127.0.0.1:{baton.ports["michael"]}"\n', 'password = "secret"\ndigest = "md5"\n')

    baton = desk.serve(text_of=text_of)
    account = "auth_user=michael;auth_pass=guess;regint=60"
    phone = Softphone(desk.folder, baton.ports["michael"], baton.rtp["michael"], TONES["michael"], account=account, host=baton.target)
    desk.at_end(phone.close)
    phone.wait_for("baresip is ready")
    baton.wait("the refusal is in the log", lambda: "reason=wrong_password" in baton.log(), 20)
    time.sleep(0.2)
    expect(baton.get("/v1/aes")["items"][0]["phone"] == "gone", "nobody has registered")


@case("two phones of an AE register by SHA-256, ring together, and the one that is late is told where the call went")
def phones_ring_together(desk):
    def text_of(baton):
        old = f'uri = "sip:michael@127.0.0.1:{baton.ports["michael"]}"\n'
        expect(old in baton.usual, "the configuration has Michael's address")
        return baton.usual.replace(old, 'password = "secret"\ndigest = "sha-256"\n')

    baton, _, _, call = conversation(desk, text_of=text_of)
    phones = [Phone(port, baton.target, baton.rtp["michael"]) for port in (baton.ports["michael"], baton.base + 8)]
    for phone in phones:
        desk.at_end(phone.close)
        phone.register("michael", "secret", "baton.example")
    transfer = baton.transfer(call)
    invites = [phone.receive("INVITE") for phone in phones]
    expect(field(invites[0], "Call-ID") == field(invites[1], "Call-ID"), "it is one call")
    for phone, invite in zip(phones, invites):
        phone.send(phone.response(invite, "180 Ringing", tag=str(phone.port)))
    baton.transfer_in(transfer["id"], ("ringing",))
    phones[1].send(phones[1].response(invites[1], "200 OK", tag=str(phones[1].port), sdp=True))
    phones[1].receive("ACK")
    cancel = phones[0].receive("CANCEL")
    expect(field(cancel, "Reason") == 'SIP;cause=200;text="Call completed elsewhere"', f"it is told why: {field(cancel, 'Reason')}")
    phones[0].send(phones[0].response(cancel, "200 OK", tag=str(phones[0].port)))
    phones[0].send(phones[0].response(invites[0], "487 Request Terminated", tag=str(phones[0].port)))
    phones[0].receive("ACK")
    baton.transfer_in(transfer["id"], ("briefing",))
    baton.ask("POST", f"/v1/transfers/{transfer['id']}/accept", {})
    expect(baton.transfer_over(transfer["id"])["outcome"] == "bridged", "the one that answered has the caller")
