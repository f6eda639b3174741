# nucleus-otel: sends the spans of commands by OTLP/HTTP, through libcurl. A program of its own, linked dynamically, as
# nucleus-systemd is, so that nucleus itself stays static.
option(NUCLEUS_OTEL "Build the program that sends OpenTelemetry spans (needs libcurl)" ON)
if(NUCLEUS_OTEL)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(LIBCURL REQUIRED IMPORTED_TARGET libcurl>=7.85)
  add_executable(nucleus-otel shim/otel/main.cpp)
  target_link_libraries(nucleus-otel PRIVATE nucleus_shim PkgConfig::LIBCURL)
  if(NOT NUCLEUS_SANITIZE)
    target_link_options(nucleus-otel PRIVATE -static-libstdc++ -static-libgcc)
  endif()
  nucleus_helper(nucleus-otel NUCLEUS_OTEL_HELPER)
  set_source_files_properties(
    ${PROJECT_SOURCE_DIR}/runtime/telemetry/send.cpp
    TARGET_DIRECTORY nucleus_runtime
    PROPERTIES COMPILE_DEFINITIONS "NUCLEUS_OTEL_HELPER=\"${NUCLEUS_OTEL_HELPER}\"")
endif()
