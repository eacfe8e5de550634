# Outlives the harness: once its standard input ends, by whatever end of the harness, it takes away what no end of a
# process does. $1 is the name of the node's control groups, $2 the network device on this machine.
cat >/dev/null
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    left=
    for tree in "/sys/fs/cgroup/$1" /sys/fs/cgroup/*/"$1"; do
        if [ -d "$tree" ]; then
            find "$tree" -depth -type d -exec rmdir {} \; 2>/dev/null
            if [ -d "$tree" ]; then left=yes; fi
        fi
    done
    if ip link show "$2" >/dev/null 2>&1; then
        ip link delete "$2" 2>/dev/null || true
        left=yes
    fi
    if [ -z "$left" ]; then exit 0; fi
    sleep 0.5
done
exit 1
