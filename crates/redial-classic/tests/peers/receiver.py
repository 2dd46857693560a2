"""Takes one file: four bytes say how long it is. Arguments: where to; silent or answering.

Prints its port first. An answer is a reply of no bytes: the file is stored.
"""
import socket
import struct
import sys

with socket.create_server(("127.0.0.1", 0)) as door:
    print(door.getsockname()[1], flush=True)
    sender, _ = door.accept()
    with sender, sender.makefile("rb") as stream, open(sys.argv[1], "wb") as file:
        (length,) = struct.unpack("i", stream.read(4))
        file.write(stream.read(length))
        file.flush()
        if sys.argv[2] == "answering":
            sender.sendall(struct.pack("i", 0))
