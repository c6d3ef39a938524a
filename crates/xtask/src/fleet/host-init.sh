#!/bin/bash
# The life of one fleet host, started by `unshare --mount --net --uts [--pid --fork]` in namespaces of its own.
#
#   host-init.sh MODE HOST_DIR BASE ADDRESS/PREFIX NAME GATEWAY CGROUP
#
# MODE is `sshd` (this script becomes process 1 of the host) or `boot` (systemd does, under systemd-nspawn).
# It says "ready" on stdout, waits for one line on stdin (the caller then has moved eth0 into the network
# namespace), and goes on. Everything it mounts lives in its own mount namespace, so the kernel cleans up
# when the host's last process dies, however that happens.
set -euo pipefail
mode=$1 dir=$2 base=$3 address=$4 name=$5 gateway=$6 cgroup=$7
echo ready
read -r _
# The caller's pipes are closed from now on; stderr is the host's log.
exec </dev/null >&2

ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"

archive=$(realpath "$dir/../../archive")
upper=$dir/up work=$dir/work root=$dir/root
if [[ -e $dir/full-disk ]]; then
    # A small file system of its own, a copy of the host's changes on it, and (below) nothing left free.
    size=$(($(du -sk "$upper" | cut -f1) + 1024))
    mount -t tmpfs -o "size=${size}k" tmpfs "$dir/disk"
    cp -a "$upper" "$dir/disk/up"
    mkdir "$dir/disk/work"
    upper=$dir/disk/up work=$dir/disk/work
fi
mount -t overlay overlay -o "lowerdir=$base,upperdir=$upper,workdir=$work" "$root"
fill() { if [[ -e $dir/full-disk ]]; then dd if=/dev/zero of="$root/ballast" bs=4k status=none 2>/dev/null || true; fi; }

# What is to go wrong when the host comes back from its next reboot: once.
fault_at_boot() {
    local fault
    fault=$(<"$dir/next-boot")
    case $fault in
    late)
        ip link set eth0 down
        sleep 20
        ip link set eth0 up
        ip route replace default via "$gateway"
        ;;
    never)
        # `fleet fault HOST heal` starts it anew.
        ip link set eth0 down
        sleep infinity
        ;;
    other-key)
        cp "$dir/other-key" "$root/etc/ssh/ssh_host_ed25519_key"
        cp "$dir/other-key.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
        ;;
    esac
    rm -f "$dir/next-boot"
}

if [[ $mode == boot ]]; then
    fill
    # Each systemd needs control groups of its own, or it takes another host's services for leftovers and kills them.
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        if [[ -e $hierarchy/cgroup.procs ]]; then
            mkdir -p "$hierarchy/$cgroup"
            echo 0 >"$hierarchy/$cgroup/cgroup.procs"
        fi
    done
    mkdir -p /run/systemd/nspawn
    mount -t tmpfs tmpfs /run/systemd/nspawn
    # 133 means that the host wants to reboot.
    status=133
    while [[ $status == 133 ]]; do
        status=0
        systemd-nspawn --quiet --register=no --keep-unit --boot --directory="$root" --machine="$name" \
            --network-namespace-path=/proc/self/ns/net --resolv-conf=off --timezone=off \
            --bind-ro="$archive:/run/hostler-made" || status=$?
        [[ $status != 133 || ! -e $dir/next-boot ]] || fault_at_boot
    done
    exit "$status"
fi

hostname "$name"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755,size=64m tmpfs "$root/run"
mkdir -m 755 "$root/run/sshd"
mkdir "$root/run/hostler-made"
mount --bind "$archive" "$root/run/hostler-made"
mount -o remount,bind,ro "$root/run/hostler-made"
mount -t tmpfs -o mode=755,size=1m tmpfs "$root/dev"
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 666 "$root/dev/tty" c 5 0
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
ln -s pts/ptmx "$root/dev/ptmx"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/dev/shm"
fill

cd "$root"
pivot_root . .
umount -l .
cd /
/usr/sbin/sshd
# Process 1 reaps orphans, as bash does, and must outlive sshd: a host that refuses connections is still a host.
exec </dev/null >/dev/null 2>&1
while true; do
    sleep infinity &
    wait $! || true
done
