"""Kamailio as a proxy and registrar, with the configuration of a recipe."""

import os
import subprocess
import time


class Kamailio:
    """A running Kamailio; its processes are one group, so that all of them end."""

    def __init__(self, folder, text, port):
        home = os.path.join(folder, "kamailio")
        os.makedirs(home)
        self._path = os.path.join(home, "kamailio.cfg")
        with open(self._path, "w", encoding="utf-8") as file:
            file.write("#!KAMAILIO\n" + text)
        self._log_path = os.path.join(home, "log")
        self._log = open(self._log_path, "wb")
        command = ["kamailio", "-f", self._path, "-DD", "-E", "-Y", home, "-P", os.path.join(home, "pid"), "-m", "64", "-M", "8", "-n", "2"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, cwd=home,
                                        start_new_session=True)
        self._wait_bound(port)

    def _wait_bound(self, port):
        wanted, until = f":{port:04X} ", time.monotonic() + 10
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"Kamailio ended with {self.process.returncode}: {self.log()[-600:]}")
            with open("/proc/net/udp", encoding="ascii") as table:
                if any(wanted in line for line in table):
                    return
            time.sleep(0.02)
        raise AssertionError(f"Kamailio did not bind port {port}: {self.log()[-600:]}")

    def log(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait()
        self._log.close()
