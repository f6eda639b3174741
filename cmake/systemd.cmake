# nucleus-systemd: the helper of the systemd cgroup driver, which speaks D-Bus. A program of its own, linked dynamically
# (libsystemd is to be had no other way), so that nucleus itself stays static.
option(NUCLEUS_SYSTEMD "Build the systemd cgroup driver (needs libsystemd)" ON)
if(NUCLEUS_SYSTEMD)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(LIBSYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
  add_executable(nucleus-systemd runtime/systemd/helper/main.cpp runtime/systemd/request.cpp)
  target_link_libraries(nucleus-systemd PRIVATE nucleus_base PkgConfig::LIBSYSTEMD)
  if(NOT NUCLEUS_SANITIZE)
    target_link_options(nucleus-systemd PRIVATE -static-libstdc++ -static-libgcc)
  endif()
  nucleus_helper(nucleus-systemd NUCLEUS_SYSTEMD_HELPER)
  set_source_files_properties(
    ${PROJECT_SOURCE_DIR}/runtime/systemd/client.cpp
    TARGET_DIRECTORY nucleus_runtime
    PROPERTIES COMPILE_DEFINITIONS "NUCLEUS_SYSTEMD_HELPER=\"${NUCLEUS_SYSTEMD_HELPER}\"")
endif()
