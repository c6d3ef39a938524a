# Makes what an emulated machine starts from: a kernel, its initial file system and a disk whose root is a logical volume.
#
#   machine-root.sh BASE NEW HOST_KEY
#
# BASE is the fleet's base, NEW an empty directory for `kernel`, `initrd` and `disk`. To be run in a mount namespace of its own.
set -euo pipefail
base=$1 new=$2 host_key=$3
cd "$new"
mkdir up work root
mount -t overlay overlay -o "lowerdir=$base,upperdir=up,workdir=work" root
mount -t proc proc root/proc

# The initial file system has the few modules that this machine needs: it is unpacked by an emulated processor.
mkdir -p root/etc/initramfs-tools/conf.d root/usr/share/initramfs-tools/modules.d
echo MODULES=list >root/etc/initramfs-tools/conf.d/machine
printf '%s\n' virtio_pci virtio_blk virtio_net virtio_rng ext4 >root/usr/share/initramfs-tools/modules.d/machine
cp -L /etc/resolv.conf root/etc/resolv.conf
apt() { DEBIAN_FRONTEND=noninteractive chroot root apt-get --quiet "$@"; }
apt update
apt install --yes --no-install-recommends busybox e2fsprogs initramfs-tools linux-image-cloud-amd64 lvm2 thin-provisioning-tools udev
apt clean
rm -rf root/var/lib/apt/lists/* root/var/cache/apt/*.bin root/etc/resolv.conf
umount root/proc
cp root/boot/vmlinuz-* kernel
cp root/boot/initrd.img-* initrd

install -m 600 "$host_key" root/etc/ssh/ssh_host_ed25519_key
echo '/dev/hostler/root / ext4 defaults 0 0' >root/etc/fstab
# Process 1: what LVM needs (udev), sshd, and nothing that costs an emulated processor its time.
cat >root/sbin/machine-init <<'INIT'
#!/bin/bash
mount -o remount,rw /
mkdir -p /dev/pts /run/sshd
mount -t devpts -o ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
hostname machine
ip link set lo up
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
/lib/systemd/systemd-udevd --daemon
modprobe loop
/usr/sbin/sshd
# As LVM's rules do under systemd: it sees merges to their end.
vgchange --quiet --activate ay
exec </dev/null >/dev/null 2>&1
while true; do
    sleep infinity &
    wait $! || true
done
INIT
chmod 755 root/sbin/machine-init

# A kernel without device-mapper can write LVM's metadata too. The volume is one run of extents, so its file system is
# made where that begins. Half of the group stays free.
truncate --size 1800M disk
device=$(losetup --find --show disk)
trap 'losetup --detach "$device"' EXIT
config="devices { use_devicesfile=0 filter=[\"a|^$device\$|\", \"r|.*|\"] } backup { backup=0 archive=0 }"
volumes() { lvm "$@" --driverloaded n --config "$config" 2>>lvm.log; }
volumes pvcreate --yes "$device"
volumes vgcreate hostler "$device"
volumes lvcreate --yes --activate n --zero n --wipesignatures n --size 900M --name root hostler
start=$(volumes pvs --noheadings --nosuffix --units b --options pe_start "$device" | tr -d ' ')
mke2fs -q -t ext4 -d root -E "offset=$start" disk 900M
umount root
rm -rf up work root
