# What cmake --install and cpack -G DEB make of a build.
#
# Two components: "programs" is the Debian package gavel, "development" is libgavel-client-dev. A
# folder installs what is its own; this file has what concerns all of them.
include(GNUInstallDirs)

install(TARGETS gaveld RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
# Debian wants each package to have a copyright file of its own.
foreach(component IN ITEMS programs development)
  set(package gavel)
  if(component STREQUAL development)
    set(package libgavel-client-dev)
  endif()
  install(FILES ${CMAKE_SOURCE_DIR}/LICENSE RENAME copyright
    DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${package} COMPONENT ${component})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME gavel)
set(CPACK_PACKAGE_VENDOR Gavel)
set(CPACK_PACKAGE_CONTACT "Gavel developers <gavel@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL programs development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME gavel)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PROGRAMS_DESCRIPTION
  "replicated configuration store that speaks etcd's v3 API
Gavel keeps the small, important data of other systems on three or five members, which agree on
every change by the Raft protocol. Every etcd client works with it.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libgavel-client-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libgrpc++-dev, libprotobuf-dev")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
  "C++ client library of Gavel and etcd
Headers, a static library, a CMake package and a pkg-config file. Endpoints with failover, typed
errors, transactions and helpers for any server of etcd's v3 API.")
include(CPack)
