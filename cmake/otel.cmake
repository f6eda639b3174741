# nucleus-otel: sends the spans of commands by OTLP/HTTP, through libcurl. A program of its own, linked dynamically, as
# nucleus-systemd is, so that nucleus itself stays static.
option(NUCLEUS_OTEL "Build the program that sends OpenTelemetry spans (needs libcurl)" ON)
if(NUCLEUS_OTEL)
  include(GNUInstallDirs)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(LIBCURL REQUIRED IMPORTED_TARGET libcurl>=7.85)
  add_executable(nucleus-otel shim/otel/main.cpp)
  target_link_libraries(nucleus-otel PRIVATE nucleus_shim PkgConfig::LIBCURL)
  if(NOT NUCLEUS_SANITIZE)
    target_link_options(nucleus-otel PRIVATE -static-libstdc++ -static-libgcc)
  endif()
  install(TARGETS nucleus-otel RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/nucleus)
  # By one absolute path, never by PATH: what is shipped runs what is installed, any other build its own.
  if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT NUCLEUS_OWN_HELPERS)
    set(NUCLEUS_OTEL_HELPER ${CMAKE_INSTALL_FULL_LIBEXECDIR}/nucleus/nucleus-otel)
  else()
    set(NUCLEUS_OTEL_HELPER ${PROJECT_BINARY_DIR}/nucleus-otel)
  endif()
  set_source_files_properties(
    ${PROJECT_SOURCE_DIR}/runtime/telemetry/send.cpp
    TARGET_DIRECTORY nucleus_runtime
    PROPERTIES COMPILE_DEFINITIONS "NUCLEUS_OTEL_HELPER=\"${NUCLEUS_OTEL_HELPER}\"")
endif()
