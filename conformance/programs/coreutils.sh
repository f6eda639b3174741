# The tools of a shell session. For test_agent_seccomp.py.
set -e
cd /tmp
seq 100 | tee list | wc -l | grep -q 100
cp -a list copy
cp --reflink=auto list reflink
mkdir -p a/b
mv copy a/b
ln list hard
ln -s list soft
ls -laR / >/dev/null 2>&1 || true
ls -l list hard soft >/dev/null
find . -name copy | grep -q copy
sort -rn list | head -n 1 | grep -q 100
tar cf t.tar a
tar xf t.tar
gzip -k t.tar
gunzip -t t.tar.gz
dd if=/dev/zero of=z bs=1k count=10 conv=fsync 2>/dev/null
truncate -s 5 z
touch -d yesterday z
chmod 600 z
stat z >/dev/null
install -m 755 z z2
mkfifo f
rm -r a f
df . >/dev/null
du -s . >/dev/null
sleep 0.01
timeout 5 true
nice true
nohup true 2>/dev/null
env >/dev/null
id >/dev/null
date >/dev/null
uname -a >/dev/null
split -b 50 list part
sed -i s/1/x/ list
grep -c x list >/dev/null
awk '{ n += 1 } END { exit n != 100 }' list
tail -n 1 list >/dev/null
xargs -n 10 echo <list >/dev/null
sync
flock list true
nproc >/dev/null
sha256sum list >/dev/null
realpath soft >/dev/null
bash -c 'trap "exit 0" USR1; kill -USR1 $$; exit 1'
bash -c '(sleep 0.01 &); sleep 0.01 & wait; exec 3<>/tmp/fd; echo x >&3'
perl -e 'print fork() ? wait() > 0 ? "" : "bad" : ""'
echo "coreutils ok"
