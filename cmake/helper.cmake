# nucleus_helper(TARGET VARIABLE): TARGET is a program that others of nucleus's execute. It is installed, and VARIABLE becomes
# the one absolute path by which they know it, never by PATH: what is shipped runs what is installed, any other build its own.

# System paths unless told otherwise: a container engine looks for its runtime in /usr/bin. Here, before anything asks for
# the paths below it.
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
  set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "Where `cmake --install` installs to" FORCE)
endif()
include(GNUInstallDirs)
function(nucleus_helper target variable)
  install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/nucleus)
  if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT NUCLEUS_OWN_HELPERS)
    set(${variable} ${CMAKE_INSTALL_FULL_LIBEXECDIR}/nucleus/${target} PARENT_SCOPE)
  else()
    set(${variable} ${CMAKE_CURRENT_BINARY_DIR}/${target} PARENT_SCOPE)
  endif()
endfunction()
