# Runs its arguments on a terminal, types, and prints what is to be seen.
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b''
def until_prompt(number):
    global seen
    while seen.count(b'>>:') < number:
        seen += os.read(terminal, 1000)
for number, line in enumerate([b'hello\n', b'\n', b'a\\b\xff\n'], 1):
    until_prompt(number)
    os.write(terminal, line)
until_prompt(4)
os.write(terminal, b'\x04')
try:
    while True:
        seen += os.read(terminal, 1000)
except OSError:
    pass
assert os.waitpid(pid, 0)[1] == 0
sys.stdout.buffer.write(seen.replace(b'\r', b''))
