# A repository is made, cloned both ways, and worked in. For test_agent_seccomp.py.
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
cd /tmp
git init -q one
cd one
echo x >file
git add file
git commit -qm first
git gc -q
cd ..
git clone -q one two
git clone -q file:///tmp/one three
cd two
echo y >>file
git diff | grep -q '^+y'
git commit -qam second
git checkout -qb side HEAD~1
git merge -q side master 2>/dev/null || git merge -q "$(git branch --format='%(refname:short)' | head -n 1)"
git push -q origin HEAD:refs/heads/pushed
git log --oneline | cat >/dev/null
git stash list
git fsck --no-progress 2>/dev/null
echo "git ok"
