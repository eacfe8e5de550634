# The first process of the node's namespaces: lays out what only its programs see, then waits and reaps.
# $1 is the node's folder, $2 where the host's resolver must not be asked.
set -eu
mount --bind "$1" /mnt
mount -t tmpfs -o mode=0755 tmpfs /run
# What its programs write below /var is theirs alone and forgotten, but for the folders that are kept.
mkdir -p /run/var/upper /run/var/work
mount -t overlay -o lowerdir=/var,upperdir=/run/var/upper,workdir=/run/var/work overlay /var
for kept in lib/kubelet lib/containerd lib/cni lib/local-path log/pods; do
    mkdir -p "/mnt/$kept" "/var/$kept"
    mount --bind "/mnt/$kept" "/var/$kept"
done
# Mounts of the kubelet must reach containers.
mount --make-rshared /
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
fi
touch /mnt/laid-out
exec catatonit -P
