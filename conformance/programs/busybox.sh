# The same with busybox, a static program. For test_agent_seccomp.py.
set -e
cd /tmp
b=/bin/busybox
$b seq 100 | $b tee list | $b wc -l | $b grep -q 100
$b cp -a list copy
$b mkdir -p a/b
$b mv copy a/b
$b ln -s list soft
$b ls -la / >/dev/null
$b find . -name copy | $b grep -q copy
$b tar cf t.tar a
$b gzip t.tar
$b dd if=/dev/zero of=z bs=1k count=10 2>/dev/null
$b touch z
$b chmod 600 z
$b stat z >/dev/null
$b rm -r a
$b df . >/dev/null
$b ps >/dev/null
$b free >/dev/null
$b sleep 0.01
$b timeout 5 true
$b sed -i s/1/x/ list
$b awk '{ n += 1 } END { exit n != 100 }' list
$b nc -w 1 127.0.0.1 8080 </dev/null 2>/dev/null || [ $? = 1 ]
echo "busybox ok"
