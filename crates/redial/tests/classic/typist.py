# Runs its arguments on a terminal, types a line at each prompt, and prints what is to be seen.
import os
import pty
import sys

LINES = [b"echo hello\n", b"\n", b"printf unended\n", b"\x04"]

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
for number, line in enumerate(LINES, 1):
    while seen.count(b">>:") < number:
        seen += os.read(terminal, 1000)
    os.write(terminal, line)
try:
    while piece := os.read(terminal, 1000):
        seen += piece
except OSError:
    pass
assert os.waitpid(pid, 0)[1] == 0
sys.stdout.buffer.write(seen.replace(b"\r", b""))
