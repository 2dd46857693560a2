# Prints where it listens (tcp or udp); answers one call, or two datagrams, in upper case.
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == 'tcp' else socket.SOCK_DGRAM
phone = socket.socket(socket.AF_INET, kind)
phone.settimeout(60)
phone.bind(('127.0.0.1', 0))
if kind == socket.SOCK_STREAM:
    phone.listen(5)
print('%s:%d' % phone.getsockname(), flush=True)
if kind == socket.SOCK_STREAM:
    line, _ = phone.accept()
    line.settimeout(60)
    while data := line.recv(1024):
        line.sendall(data.upper())
else:
    for _ in range(2):
        data, client = phone.recvfrom(65536)
        phone.sendto(data.upper(), client)
