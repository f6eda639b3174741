# What `cmake --install` puts where, and the Debian package that `cpack` makes of it.
include(GNUInstallDirs)

install(TARGETS nucleus RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

install(FILES packaging/completions/nucleus.bash
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME nucleus)
install(FILES packaging/completions/_nucleus DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES packaging/completions/nucleus.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# Compressed as distributions want their pages; -n: the same bytes from every build.
find_program(GZIP gzip REQUIRED)
set(man_page ${PROJECT_BINARY_DIR}/nucleus.8.gz)
add_custom_command(
  OUTPUT ${man_page}
  COMMAND ${GZIP} -9nc ${PROJECT_SOURCE_DIR}/docs/man/nucleus.8 > ${man_page}
  DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/nucleus.8
  VERBATIM)
add_custom_target(man ALL DEPENDS ${man_page})
install(FILES ${man_page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)

install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES packaging/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md" PATTERN man EXCLUDE)

file(GLOB builtin_policies CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/policies/builtin/*)
if(builtin_policies)
  install(DIRECTORY policies/builtin DESTINATION ${CMAKE_INSTALL_DATADIR}/nucleus/policies)
endif()

install(FILES front/compose/topology.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/nucleus/compose)
install(DIRECTORY policies/examples policies/schema DESTINATION ${CMAKE_INSTALL_DATADIR}/nucleus/policies)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME nucleus)
set(CPACK_PACKAGE_VENDOR "the nucleus authors")
set(CPACK_PACKAGE_CONTACT "the nucleus authors <nucleus@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "security-hardened OCI container runtime")
set(CPACK_PACKAGE_DESCRIPTION
    "nucleus runs OCI bundles: it creates, starts, signals and deletes containers for podman,\n\
containerd, CRI-O and other callers of a low-level runtime, with runc's command line.")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
if(NOT NUCLEUS_STATIC)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
endif()
# For the helpers: nothing else needs a package.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libsystemd0, libmnl0, libcurl4")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "uidmap")
# Directories and files as Debian's policy has them, whatever the umask of who packs.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)

if(NUCLEUS_TESTS)
  add_test(NAME packaging COMMAND ${PROJECT_SOURCE_DIR}/packaging/packaging_test.sh)
  set_tests_properties(packaging PROPERTIES TIMEOUT 900)
endif()
