"""A client as the lesson's. Arguments: the port; none, broken or mended.

Each line of stdin is a command; each reply is printed as Python shows bytes. `none` knows no
header. `broken` has the lesson's receive loop, which is an `if` and so takes 1,024 bytes at most
once; `mended` loops.
"""
import socket
import struct
import sys


def reply(server, kind):
    if kind == "none":
        return server.recv(1024)
    (length,) = struct.unpack("i", server.recv(4))
    got = b""
    while len(got) < length:
        piece = server.recv(1024)
        if not piece:
            raise SystemExit("cut off")
        got += piece
        if kind == "broken":
            break
    return got


with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server:
    for line in sys.stdin:
        if text := line.strip():
            server.send(text.encode())
            print(reply(server, sys.argv[2]), flush=True)
