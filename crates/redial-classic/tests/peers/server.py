"""A server as the lesson's, faults and all. Arguments: none or reply.

It takes one client at a time and at most 1,024 bytes of a command, reads stderr to its end before
stdout, answers with stderr if there is any, lends the command its own stdin, and hangs up on
whatever goes wrong. Prints its port first.
"""
import socket
import struct
import subprocess
import sys

PIPE = subprocess.PIPE


def outcome(text):
    shell = subprocess.Popen(text.decode(), shell=True, stdout=PIPE, stderr=PIPE)
    with shell:
        return shell.stderr.read() or shell.stdout.read()


def talk(caller, framed):
    while text := caller.recv(1024):
        said = outcome(text)
        if framed:
            caller.send(struct.pack("i", len(said)))
            caller.sendall(said)
        else:
            caller.send(said)


with socket.create_server(("127.0.0.1", 0)) as door:
    print(door.getsockname()[1], flush=True)
    while True:
        caller, _ = door.accept()
        with caller:
            try:
                talk(caller, sys.argv[1] == "reply")
            except Exception as fault:
                print(fault, file=sys.stderr)
