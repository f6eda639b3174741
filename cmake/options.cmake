# Warnings, hardening and instrumentation for every target of ours.
add_library(nucleus_options INTERFACE)
target_include_directories(nucleus_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_definitions(nucleus_options INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(nucleus_options INTERFACE -Wall -Wextra -Werror -Wshadow -Wno-missing-field-initializers
                       -fstack-protector-strong -fno-plt)
target_link_options(nucleus_options INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(nucleus_options INTERFACE _FORTIFY_SOURCE=2)
  # Nothing of ours throws, and what the standard library throws is caught nowhere: no tables and no code for it. CLI11
  # does, within shim/cli/command_line.cpp, and a std::thread that cannot be had, in runtime/attest/walk.cpp: these two
  # have the tables.
  target_compile_options(nucleus_options INTERFACE -ffunction-sections -fdata-sections
                         $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
                         -fno-asynchronous-unwind-tables -fno-unwind-tables
                         # A false alarm of g++ 12 about `"literal" + std::string` (GCC bug 105651).
                         $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
  target_link_options(nucleus_options INTERFACE -Wl,--gc-sections -Wl,-z,pack-relative-relocs)
  # One static, position-independent executable: without a dynamic loader it starts in half the time, and it starts twice
  # for each command that enters a container (runtime/sys/self.h). -Os: 400 kB less than -O2, of which most is library
  # code that runs once, and as fast.
  set(NUCLEUS_STATIC ON)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  string(REPLACE -O3 -Os CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
  # With -Os g++ copies strings by `rep movsb`, whose start costs more than the call.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    target_compile_options(nucleus_options INTERFACE -mstringop-strategy=libcall)
    target_link_options(nucleus_options INTERFACE -mstringop-strategy=libcall)
    set(NUCLEUS_NO_CALLS -mstringop-strategy=rep_8byte)  # for what runs without the C library
  endif()
endif()
if(NUCLEUS_FAULTS)
  target_compile_definitions(nucleus_options INTERFACE NUCLEUS_FAULTS=1)
endif()
if(NUCLEUS_SANITIZE)
  target_compile_options(nucleus_options INTERFACE -fsanitize=${NUCLEUS_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(nucleus_options INTERFACE -fsanitize=${NUCLEUS_SANITIZE})
endif()
if(NUCLEUS_COVERAGE)
  target_compile_options(nucleus_options INTERFACE --coverage)
  target_link_options(nucleus_options INTERFACE --coverage)
endif()
if(NUCLEUS_FUZZ)
  target_compile_options(nucleus_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
