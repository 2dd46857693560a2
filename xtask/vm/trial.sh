#!/bin/bash
# Runs in the guest: the package as an administrator and its users have it. Says each thing that holds;
# ends with 1 at the first that does not.
set -u
cd /payload
failed() { echo "FAILED: $1"; journalctl -u redial --no-pager | tail -40; exit 1; }
holds() { echo "holds: $1"; }
is() { [ "$2" = "$3" ] && holds "$1" || failed "$1: ‘$2’, not ‘$3’"; }
socket=unix:/run/redial/redial.sock
as() { local who=$1; shift; runuser -u "$who" -- redial "$@"; }

# --- installed and started
dpkg -i redial_*.deb >install.log 2>&1 || { cat install.log; failed "dpkg -i"; }
is "the service runs after the installation" "$(systemctl is-active redial)" active
is "the front's user is there" "$(getent passwd redial | cut -d: -f7)" /usr/sbin/nologin
systemd-analyze verify --man=no /usr/lib/systemd/system/redial.service /usr/lib/systemd/system/redial.socket \
    && holds "systemd-analyze verify finds nothing" || failed "systemd-analyze verify"
systemd-analyze security redial --no-pager | tail -1
useradd -m -s /bin/bash ada; useradd -m -s /bin/bash bob

# --- as who they are
is "a command runs as its user" "$(as ada run $socket -- id -un)" ada
is "in the user's home" "$(as bob run $socket -- pwd)" /home/bob
as root run $socket -- true 2>/dev/null; is "root runs nothing" $? 125
is "root as another user" "$(redial run -l bob $socket -- id -un)" bob
front=$(pgrep -u redial -f -- --front) || failed "a front of its own user"
is "the front gains nothing" "$(awk '/NoNewPrivs/ {print $2}' /proc/"$front"/status)" 1
journalctl -u redial --no-pager | grep -o 'the front is kept .*' | tail -1

# --- over the network, with the keys that people have
sed -i 's/^listen = .*/listen = ["unix:", "127.0.0.1"]/' /etc/redial/config.toml
systemctl reload redial
runuser -u ada -- sh -c 'mkdir -p -m 700 ~/.ssh && ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519 &&
    cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys'
for _ in $(seq 100); do as ada run --accept-new 127.0.0.1 -- true 2>/dev/null && break; sleep 0.2; done
is "a key of one's own lets in" "$(as ada run 127.0.0.1 -- id -un)" ada
as ada run -l bob 127.0.0.1 -- true 2>/dev/null; is "but not as another" $? 125

# --- terminals
sed -i 's/^# record = /record = /' /etc/redial/config.toml
systemctl reload redial
terminal() { as ada run -tn $socket -c 'stat -c "%U:%G %a" $(tty)' | tr -d '\r'; }
for _ in $(seq 100); do terminal >/dev/null; [ -d /var/lib/redial/terminals ] && break; sleep 0.2; done
is "a terminal is its user's, as login has it" "$(terminal)" "ada:tty 620"
sleep 1
grep -q 'ada:tty 620' /var/lib/redial/terminals/*.cast && holds "it is recorded" || failed "no recording"
is "for root alone" "$(stat -c '%U %a' /var/lib/redial/terminals)" "root 700"

# --- limits
as ada run $socket --memory 64M --json -n -- tail /dev/zero >oom.json 2>/dev/null; is "an eater is ended" $? 137
grep -q '"cause":"oom"' oom.json && holds "the outcome says oom" || failed "oom in $(tail -1 oom.json)"
as ada run $socket --pids 50 --reap --drain 0 --json -n -c '
    i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i+1)); done 2>/dev/null' >bomb.json 2>/dev/null &
bomb=$!
most=0 neighbours=0
while kill -0 $bomb 2>/dev/null; do
    now=$(cat /sys/fs/cgroup/system.slice/redial.service/redial-*/job-*/pids.peak \
              /sys/fs/cgroup/system.slice/redial.service/redial-*/job-*/pids.current 2>/dev/null | sort -n | tail -1)
    [ "${now:-0}" -gt $most ] && most=$now
    [ "$(as bob run $socket -- echo here)" = here ] || failed "a neighbour noticed"
    neighbours=$((neighbours+1))
done
wait $bomb
{ [ "$most" -gt 20 ] && [ "$most" -le 50 ]; } && holds "the bomb had $most processes, 50 at most" || failed "$most processes"
holds "$neighbours commands of a neighbour beside it did not notice"
is "nothing of it is left" "$(pgrep -u ada sleep | wc -l)" 0
runuser -u ada -- sh -c 'sed "s/^/pids=\"20\" /" ~/.ssh/id_ed25519.pub > ~/.ssh/authorized_keys'
sleep 4
as ada run 127.0.0.1 --pids 21 -- true 2>/dev/null; is "a key's limit is not exceeded" $? 125
limit=$(as ada run 127.0.0.1 -c 'cat $(sed -n s,^0::,/sys/fs/cgroup,p /proc/self/cgroup)/pids.max')
is "and is kept" "$limit" 20

# --- upgraded under load
dpkg-deb -R redial_*.deb new && sed -i 's/^Version: .*/Version: 99.0-1/' new/DEBIAN/control && dpkg-deb -b new new.deb >/dev/null
kept=$(as bob run $socket --detach -n -c 'i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); sleep 0.2; done; exit 7')
jobs=()
for n in $(seq 12); do
    as ada run $socket -c "i=0; while [ \$i -lt 60 ]; do echo $n \$i; i=\$((i+1)); sleep 0.2; done; cat; exit $n" \
        <<<"stdin of $n" >"out.$n" 2>"err.$n" &
    jobs+=($!)
done
sleep 3
keeper=$(systemctl show -P MainPID redial)
dpkg -i new.deb >upgrade.log 2>&1 || { cat upgrade.log; failed "dpkg -i of the new one"; }
is "dpkg has the new one" "$(dpkg-query -W -f '${Version}' redial)" 99.0-1
good=0
for n in $(seq 12); do
    wait "${jobs[$((n-1))]}"; code=$?
    { i=0; while [ $i -lt 60 ]; do echo "$n $i"; i=$((i+1)); done; echo "stdin of $n"; } >expected
    cmp -s expected "out.$n" && [ $code = "$n" ] && good=$((good+1)) || { echo "$n: $code"; head -3 "err.$n"; }
done
is "jobs under the upgrade: output, stdin and exit code exact" $good 12
as bob wait "$kept" 2>/dev/null; is "a kept job, too" $? 7
is "all of its output" "$(as bob logs "$kept" | tail -1)" 99
is "the keeper is the same process" "$(systemctl show -P MainPID redial)" "$keeper"
journalctl -u redial --no-pager | grep -q "upgraded jobs=1[0-9]" && holds "with all its jobs" || failed "no upgrade in the log"

# --- the socket unit
systemctl stop redial
systemctl start redial.socket || failed "redial.socket"
is "the service waits for somebody" "$(systemctl is-active redial)" inactive
is "who comes is served" "$(as ada run $socket -- id -un)" ada
is "and now it runs" "$(systemctl is-active redial)" active
systemctl restart redial
is "it serves the same socket after a restart" "$(as ada run $socket -- id -un)" ada
systemctl stop redial.socket redial
systemctl start redial

# --- restarted: what was kept is there
systemctl restart redial
is "a restart keeps what was kept" "$(as bob logs "$kept" | tail -1)" 99

# --- removed
dpkg --purge redial >purge.log 2>&1 || { cat purge.log; failed "dpkg --purge"; }
is "nothing runs" "$(pgrep -x redial | wc -l)" 0
left=$(ls -d /etc/redial /var/lib/redial /run/redial /usr/bin/redial /usr/lib/systemd/*/redial.* \
    /etc/systemd/system/*.wants/redial.* /usr/share/doc/redial 2>/dev/null; getent passwd redial; getent group redial)
is "nothing is left behind" "$left" ""
is "the machine is well" "$(systemctl is-system-running)" running
