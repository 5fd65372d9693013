# Install rules: programs, libraries, plugins, headers, man pages, examples, package files. A target that this build does
# not have is left out, so the rules hold for every combination of options.
include(CMakePackageConfigHelpers)

set(sbx_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/sbx")

# sbxctl holds libsbx and needs no run path. (With one, the build tree's copy would carry room for it, filled with colons:
# empty parts, which mean the working directory.)
if(TARGET sbxctl)
  install(TARGETS sbxctl RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT programs)
endif()
if(TARGET sbx-conform)
  install(TARGETS sbx-conform RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT development)
endif()
foreach(library sbx sbx_static)
  if(TARGET ${library})
    install(TARGETS ${library}
      LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT libraries
      ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
  endif()
endforeach()
if(TARGET sbx_archive)
  install(TARGETS sbx_archive LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT libraries)
endif()
install(PROGRAMS "${PROJECT_BINARY_DIR}/bin/sbx-guest" DESTINATION "${SBX_INSTALL_GUESTDIR}"
  COMPONENT programs OPTIONAL)
get_property(sbx_plugins GLOBAL PROPERTY SBX_PLUGINS)
if(sbx_plugins)
  install(TARGETS ${sbx_plugins} LIBRARY DESTINATION "${SBX_INSTALL_PLUGINDIR}" COMPONENT programs)
endif()

install(FILES include/sbx.h include/sbx_access.h include/sbx_plugin.h include/sbx_tools.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
foreach(section 1 3 5 7)
  file(GLOB pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/man/*.${section}")
  if(pages)
    install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}" COMPONENT documentation)
  endif()
endforeach()
install(DIRECTORY conf/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/examples" COMPONENT documentation OPTIONAL
  PATTERN "CMakeLists.txt" EXCLUDE)
install(DIRECTORY plugins/template DESTINATION "${CMAKE_INSTALL_DOCDIR}/examples" COMPONENT development)
install(FILES README.md NEWS.md SECURITY.md LICENSE docs/write-a-provider.md docs/rules.md DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT documentation)

configure_package_config_file(cmake/sbx-config.cmake.in "${PROJECT_BINARY_DIR}/package/sbx-config.cmake"
  INSTALL_DESTINATION "${sbx_package_dir}"
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_BINDIR SBX_INSTALL_PLUGINDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/sbx-config-version.cmake" COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/package/sbx-config.cmake" "${PROJECT_BINARY_DIR}/package/sbx-config-version.cmake"
  cmake/SbxPlugin.cmake cmake/plugin.map DESTINATION "${sbx_package_dir}" COMPONENT development)
file(RELATIVE_PATH sbx_prefix_from_pc "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file(cmake/sbx.pc.in "${PROJECT_BINARY_DIR}/package/sbx.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/sbx.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
  COMPONENT development)
