# Says three words to a server (tcp or udp, HOST:PORT), prints the answers.
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == 'tcp' else socket.SOCK_DGRAM
host, port = sys.argv[2].rsplit(':', 1)
phone = socket.socket(socket.AF_INET, kind)
phone.settimeout(60)
phone.connect((host, int(port)))
for word in ['hello', 'socket', '你好 world']:
    phone.send(word.encode('utf-8'))
    print(phone.recv(1024).decode('utf-8'))
phone.close()
