"""The configuration changes, or the daemon is emptied, while people talk."""

import os
import signal
import subprocess
import time

from scene import Scene, hear_each_other, must, wait

ANOTHER = '\n[[ae]]\nid = "ae-777"\nname = "ae-777"\nuri = "sip:ae-777@{ae}"\ntimezone = "UTC"\nhours = "Mon-Sun 00:00-24:00"\n'


def reload(program, folder):
    """SIGHUP takes another roster as a whole, and a faulty file changes nothing."""
    with Scene(program, folder, aes=1) as scene:
        pair = scene.bridges(1)[0]

        def known():
            return {ae["id"] for ae in scene.daemon.insist("GET", "/v1/aes")[1]["items"]}

        must(known() == {"ae-000"}, f"the roster is {known()}")
        scene.daemon.write(scene.phones, ANOTHER.format(ae=scene.phones.address("ae")))
        os.kill(scene.daemon.process.pid, signal.SIGHUP)
        wait("the new AE is there", lambda: known() == {"ae-000", "ae-777"})
        caller = scene.with_ai(1)
        legs = (caller, scene.bridge(caller, 777)[1])
        for wrong, says in (("\n[[ae]\n", "toml"), ('\n[[ae]]\nid = "ae-888"\nname = "x"\nuri = "nonsense"\n', "uri")):
            said = scene.daemon.count("the old one stays")
            scene.daemon.write(scene.phones, wrong)
            os.kill(scene.daemon.process.pid, signal.SIGHUP)
            wait(f"the log says what is wrong ({says})", lambda: scene.daemon.count("the old one stays") > said)
            time.sleep(0.3)
            must(known() == {"ae-000", "ae-777"}, f"a faulty file has changed the roster: {known()}")
        for two in (pair, legs):
            wait("they talk on", lambda: hear_each_other(two, time.monotonic() - 1.0, 20))
        scene.hang_up([pair, legs])
        return "one AE more, two faulty files refused"


def broken_program(program, folder):
    """SIGUSR2, and what is started does not come up: the worker that has the calls keeps them. Once it is mended, the next one takes them over."""
    with Scene(program, folder, aes=1) as scene:
        pair = scene.bridges(1)[0]
        old = scene.daemon.worker()
        with open(scene.daemon.config, encoding="utf-8") as file:
            right = file.read()
        with open(scene.daemon.config, "a", encoding="utf-8") as file:
            file.write("\n[[ae]\n")
        scene.quiet()
        began = time.monotonic()
        scene.daemon.swap()
        wait("the log says that it does not come up", lambda: scene.daemon.count("the next worker does not come up"))
        wait("they talk on", lambda: hear_each_other(pair, time.monotonic() - 0.5, 20))
        must(scene.daemon.worker() == old, "the worker has changed")
        must(not scene.phones.sip_between(began, time.monotonic()), "the phones saw SIP")
        with open(scene.daemon.config, "w", encoding="utf-8") as file:
            file.write(right)
        scene.daemon.swap()
        wait("another worker", lambda: scene.daemon.worker() not in (None, old) and scene.daemon.count("the next worker has the calls"))
        swapped = time.monotonic()
        wait("they hear each other", lambda: hear_each_other(pair, swapped))
        scene.hang_up([pair])
        return "the old one went on, and was followed later"


def drain(program, folder):
    """`baton drain --wait`: nothing new comes in or goes out, who talks talks on, and it returns when the last one has gone."""
    with Scene(program, folder, aes=2) as scene:
        pair = scene.bridges(1)[0]
        command = [program, "drain", "--wait", "--config", scene.daemon.config]
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            wait("it is draining", lambda: scene.daemon.insist("GET", "/readyz")[0] == 503)
            asked = scene.phones.options()
            wait("OPTIONS is answered", lambda: asked["status"])
            must(asked["status"] == 503 and "Retry-After" in asked["answer"], f"OPTIONS was answered with {asked['status']}")
            caller = scene.phones.call(5)
            wait("the caller is turned away", lambda: caller.state == "refused 503")
            status, answer = scene.daemon.insist("POST", "/v1/calls", {"to": "+15550000042", "ai": "ai"})
            must(status == 503, f"a call to outside was answered with {status}: {answer}")
            must(waiting.poll() is None, "it did not wait")
            began = time.monotonic()
            wait("caller and AE talk on", lambda: hear_each_other(pair, began, 30))
            scene.hang_up([pair])
            must(waiting.wait(40) == 0, f"drain ended with {waiting.returncode}")
        finally:
            if waiting.poll() is None:
                waiting.kill()
            waiting.communicate()
        must(scene.daemon.insist("DELETE", "/v1/drain")[0] == 200, "it cannot be taken back")
        scene.with_ai(6)
        return None
