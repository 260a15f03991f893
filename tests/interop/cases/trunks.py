"""Trunks that want a registration, and phones that register with Baton."""

import time

from lab.desk import TONES, expect
from lab.kamailio import Kamailio
from lab.softphone import Softphone

from . import case

REGISTRAR = """\
children=2
auto_aliases=no
alias="carrier.example"
listen=udp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "sl.so"
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
        return baton.usual.replace(old, 'password = "secret"\n')

    baton = desk.serve(text_of=text_of)

    def michael():
        return next(ae for ae in baton.get("/v1/aes")["items"] if ae["id"] == "michael")

    expect((michael()["phone"], michael()["state"]) == ("gone", "away"), f"nobody has registered: {michael()}")
    account = "auth_user=michael;auth_pass=secret;regint=60"
    phone = Softphone(desk.folder, baton.ports["michael"], baton.rtp["michael"], TONES["michael"], account=account, host=baton.target)
    desk.at_end(phone.close)
    phone.wait_for("baresip is ready")
    # This phone gives up at SHA-256, and comes again for MD5 after a pause of its own.
    baton.wait("the phone has registered", lambda: michael()["phone"] == "registered" and michael()["state"] == "available", 75)
    voices = {role: desk.voice(role) for role in ("caller", "ai")}
    desk.party("ai", "answers")
    desk.party("caller", "caller", hold=12000)
    transfer = baton.transfer(baton.call())
    baton.transfer_in(transfer["id"], ("briefing",))
    phone.press("1")
    done = baton.transfer_over(transfer["id"])
    expect(done["outcome"] == "bridged", f"the transfer is bridged: {done}; {phone.screen[-300:]!r}")
    span = desk.let_them_talk(1.5)
    expect(voices["caller"].hears(TONES["michael"], *span), "the caller hears the phone that has registered")
    phone.say("quit")
    baton.wait("it takes its registration back", lambda: michael()["phone"] == "gone", 10)


@case("a wrong password registers nobody, and the log says so", full_only=True, needs=("baresip",))
def wrong_password(desk):
    def text_of(baton):
        return baton.usual.replace(f'uri = "sip:michael@127.0.0.1:{baton.ports["michael"]}"\n', 'password = "secret"\n')

    baton = desk.serve(text_of=text_of)
    account = "auth_user=michael;auth_pass=guess;regint=60"
    phone = Softphone(desk.folder, baton.ports["michael"], baton.rtp["michael"], TONES["michael"], account=account, host=baton.target)
    desk.at_end(phone.close)
    phone.wait_for("baresip is ready")
    baton.wait("the refusal is in the log", lambda: "reason=wrong_password" in baton.log(), 75)
    time.sleep(0.2)
    expect(baton.get("/v1/aes")["items"][0]["phone"] == "gone", "nobody has registered")
