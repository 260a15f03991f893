"""Hands descriptors on as a service manager does: from 3 on, with LISTEN_FDS and LISTEN_PID, and becomes the program once its standard input ends.

    handing.py 7,9,12 PROGRAM ARGUMENTS...
"""

import fcntl
import os
import sys

FIRST = 3


def main():
    numbers = [int(number) for number in sys.argv[1].split(",") if number]
    above = FIRST + len(numbers) + max(numbers, default=0)
    copies = [fcntl.fcntl(number, fcntl.F_DUPFD, above) for number in numbers]
    os.closerange(FIRST, above)
    for place, copy in enumerate(copies):
        os.dup2(copy, FIRST + place)
        os.close(copy)
    while os.read(0, 64):
        pass
    environment = dict(os.environ, LISTEN_FDS=str(len(numbers)), LISTEN_PID=str(os.getpid()))
    os.execve(sys.argv[2], sys.argv[2:], environment)


main()
