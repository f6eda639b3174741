# C and C++ are compiled and run, by hand and by make. For test_agent_seccomp.py.
set -e
cd /tmp
printf '#include <stdio.h>\nint main(void) { puts("c"); return 0; }\n' >a.c
gcc -O2 -o a a.c
[ "$(./a)" = c ]
printf '#include <iostream>\n#include <thread>\nint main() { std::thread t([] { std::cout << "c++\\n"; }); t.join(); }\n' >b.cc
g++ -pthread -o b b.cc
[ "$(./b)" = c++ ]
gcc -c a.c
ar rc liba.a a.o
printf 'all: x y\nx:\n\techo x\ny:\n\techo y\n' >Makefile
[ "$(make -s -j2 | sort | tr -d '\n')" = xy ]
echo "gcc ok"
