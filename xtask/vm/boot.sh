#!/bin/bash
# boot.sh DIR: boots a throw-away Debian guest (systemd as PID 1, cgroup v2) under qemu,
# run DIR/main.sh in it as root, print its output, exit with its exit code.
#
# Exit: main.sh's own code; 124 time limit; 125 the guest ended without reporting one
#       (panic, no boot, qemu error); 2 usage or set-up failure.
# Environment (all optional):
#   VM_CACHE    where the image, kernel and initrd are kept   (target/vm)
#   VM_TIMEOUT  limit in seconds for one boot-to-finish        (600)
#   VM_MEM      guest memory, MiB                              (1024)
#   VM_CPUS     virtual CPUs                                   (1)
#   VM_KEEP     a directory to leave console.log, out.log, rc in (none)
set -euo pipefail
exec </dev/null
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

die() { echo "boot.sh: $*" >&2; exit 2; }
note() { echo "boot.sh: $*" >&2; }

[ $# -eq 1 ] && [ -f "$1/main.sh" ] || die "usage: boot.sh DIR (with DIR/main.sh)"
[ "$(id -u)" = 0 ] || die "must be root"
payload=$(realpath "$1")
cache=${VM_CACHE:-target/vm}
limit=${VM_TIMEOUT:-600} mem=${VM_MEM:-1024} cpus=${VM_CPUS:-1}
release=$(. /etc/os-release; echo "$VERSION_CODENAME")
pkgs="systemd systemd-sysv udev dbus dbus-user-session libpam-systemd procps kmod iproute2 \
openssh-client linux-image-cloud-amd64 initramfs-tools"

mkdir -p "$cache"
work=$(mktemp -d "$cache/run.XXXXXX")
qpid=
cleanup() {
    [ -z "$qpid" ] || { kill "$qpid"; wait "$qpid"; } 2>/dev/null || true   # timeout hands it to qemu
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# --- 1. host tools -----------------------------------------------------------------
need=
command -v qemu-system-x86_64 >/dev/null || need+=" qemu-system-x86"
command -v mmdebstrap         >/dev/null || need+=" mmdebstrap"
command -v mke2fs             >/dev/null || need+=" e2fsprogs"
if [ -n "$need" ]; then
    note "installing$need"
    { apt-get update && apt-get install -y -o DPkg::Lock::Timeout=300 --no-install-recommends $need; } \
        >"$work/apt.log" 2>&1 || { tail -20 "$work/apt.log" >&2; die "apt-get failed"; }
fi

# --- 2. guest image (made once per content of this section) ------------------------
guest_files() {   # $1 = root of the new file system
    local r=$1
    echo guest >"$r/etc/hostname"
    echo '127.0.0.1 localhost guest' >"$r/etc/hosts"
    echo '/dev/vda / ext4 rw 0 1' >"$r/etc/fstab"
    : >"$r/etc/machine-id"             # a fixed id, so that no run is a "first boot"
    chroot "$r" systemd-machine-id-setup >/dev/null 2>&1
    # units that cost time and are of no use here
    for u in systemd-timesyncd systemd-networkd systemd-resolved systemd-pstore \
             systemd-binfmt apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
             e2scrub_reap e2scrub_all.timer fstrim.timer getty@tty1 serial-getty@ttyS0 ssh-agent; do
        case $u in *.timer) ;; *) u=$u.service;; esac
        ln -sf /dev/null "$r/etc/systemd/system/$u"
    done
    cat >"$r/etc/systemd/system/payload.service" <<'U'
[Unit]
Description=Payload
After=multi-user.target
[Service]
Type=exec
ExecStart=/usr/local/sbin/payload-run
ExecStopPost=/bin/systemctl poweroff --force --force
Environment=HOME=/root LC_ALL=C.UTF-8
WorkingDirectory=/
TasksMax=infinity
OOMPolicy=continue
[Install]
WantedBy=multi-user.target
U
    mkdir -p "$r/etc/systemd/system/multi-user.target.wants" "$r/payload"
    ln -sf ../payload.service "$r/etc/systemd/system/multi-user.target.wants/"
    cat >"$r/usr/local/sbin/payload-run" <<'U'
#!/bin/bash
# disk 2 is a bare tar; two virtio ports carry the output and the exit code
udevadm settle -t 60
out=/dev/virtio-ports/out rc=/dev/virtio-ports/rc
exec 3>"$rc" 4>"$out" || exit 1
timeout 120 systemctl is-system-running --wait >/dev/null   # wait till start-up is finished
tar -xpf /dev/disk/by-id/virtio-payload -C /payload || { echo 125 >&3; exit 1; }
chmod +x /payload/main.sh
cd /payload && ./main.sh </dev/null >&4 2>&1 3>&- 4>&-
echo $? >&3
U
    chmod 755 "$r/usr/local/sbin/payload-run"
}
setup_initramfs() {   # before the packages: a small initrd (only what mounts the root)
    mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
    printf 'MODULES=list\nCOMPRESS=gzip\nFSTYPE=ext4\n' >"$1/etc/initramfs-tools/conf.d/vm"
    printf '%s\n' virtio_pci virtio_blk ext4 >"$1/usr/share/initramfs-tools/modules.d/vm"
}
key=$( { echo "$release $pkgs"; declare -f guest_files setup_initramfs; } | sha256sum | cut -c1-12)
img=$cache/$key
(
    flock 9
    [ -f "$img/ok" ] && exit 0
    note "making the guest image ($release) in $img"
    rm -rf "$img"; mkdir -p "$img"
    root=$work/root; mkdir "$root"
    sources=/etc/apt/sources.list.d/debian.sources
    [ -f "$sources" ] || sources=
    { echo '#!/bin/bash'; declare -f setup_initramfs; echo 'setup_initramfs "$1"'; } >"$work/hook"
    chmod +x "$work/hook"
    mmdebstrap --mode=root --variant=minbase --include="$(echo $pkgs | tr -s ' ' ,)" \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --essential-hook="$work/hook" \
        "$release" "$root" $sources >"$work/mmdebstrap.log" 2>&1 \
        || { tail -30 "$work/mmdebstrap.log" >&2; exit 2; }
    guest_files "$root"
    cp -L "$root"/boot/vmlinuz-* "$img/vmlinuz"
    cp -L "$root"/boot/initrd.img-* "$img/initrd"
    rm -rf "$root"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
    mke2fs -q -F -t ext4 -L root -E lazy_itable_init=0 -d "$root" "$img/root.ext4" 3G >/dev/null
    rm -rf "$root"
    touch "$img/ok"
) 9>"$cache/lock" || die "could not make the guest image"

# --- 3. boot -----------------------------------------------------------------------
tar -C "$payload" -cf "$work/payload.tar" .
: >"$work/out.log"; : >"$work/rc"; : >"$work/console.log"
start=$SECONDS
TMPDIR=$work timeout -k 5 "$limit" qemu-system-x86_64 \
    -nodefaults -no-user-config -no-reboot -display none -nic none \
    -machine q35 -accel tcg -cpu max -smp "$cpus" -m "$mem" \
    -kernel "$img/vmlinuz" -initrd "$img/initrd" \
    -append "root=/dev/vda rw console=ttyS0 panic=-1 quiet net.ifnames=0 systemd.unified_cgroup_hierarchy=1 systemd.show_status=1 SYSTEMD_COLORS=0" \
    -drive "file=$img/root.ext4,format=raw,if=none,id=d0,snapshot=on" \
    -device virtio-blk-pci,drive=d0 \
    -drive "file=$work/payload.tar,format=raw,if=none,id=d1,readonly=on" \
    -device virtio-blk-pci,drive=d1,serial=payload \
    -device virtio-rng-pci \
    -serial "file:$work/console.log" \
    -device virtio-serial-pci \
    -chardev "file,id=out,path=$work/out.log" -device virtserialport,chardev=out,name=out \
    -chardev "file,id=rc,path=$work/rc" -device virtserialport,chardev=rc,name=rc \
    >"$work/qemu.log" 2>&1 &
qpid=$!
tail -s 0.2 -n +1 -f --pid="$qpid" "$work/out.log" 2>/dev/null &
tpid=$!
qrc=0; wait "$qpid" || qrc=$?          # 124: time limit (137: it did not even heed TERM)
qpid=
wait "$tpid" 2>/dev/null || true

# --- 4. result ---------------------------------------------------------------------
if [ -n "${VM_KEEP:-}" ]; then
    mkdir -p "$VM_KEEP"; cp "$work"/{console.log,out.log,rc,qemu.log} "$VM_KEEP/"
fi
rc=$(tr -dc 0-9 <"$work/rc")
if [ -z "$rc" ]; then
    case $qrc in
        124|137) rc=124; note "time limit ($limit s)";;
        *)       rc=125; note "guest ended without an exit code (qemu: $qrc)";;
    esac
    note "end of its console:"; tail -n 30 "$work/console.log" >&2; cat "$work/qemu.log" >&2
fi
note "exit code $rc after $((SECONDS - start)) s ($mem MiB)"
exit "$rc"
