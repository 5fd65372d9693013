# sbx_add_plugin(ID SOURCES...): a provider plugin ID.so that exports sbx_plugin_v1 alone and leaves nothing undefined.
# Its target is sbx_plugin_ID. This file is installed: it works in our tree and after find_package(sbx).
set(SBX_PLUGIN_MAP "${CMAKE_CURRENT_LIST_DIR}/plugin.map")

function(sbx_add_plugin id)
  set(target "sbx_plugin_${id}")
  add_library(${target} MODULE ${ARGN})
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME "${id}" SUFFIX ".so" C_VISIBILITY_PRESET hidden)
  if(SBX_PLUGIN_OUTPUT_DIRECTORY)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${SBX_PLUGIN_OUTPUT_DIRECTORY}")
    set_property(GLOBAL APPEND PROPERTY SBX_PLUGINS ${target})
  endif()
  if(TARGET sbx::headers)
    target_link_libraries(${target} PRIVATE sbx::headers)
  endif()
  target_link_options(${target} PRIVATE
    -Wl,--exclude-libs,ALL "-Wl,--version-script=${SBX_PLUGIN_MAP}" -Wl,-z,relro -Wl,-z,now)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${SBX_PLUGIN_MAP}")
  # clang leaves its sanitizers' run time to the program, so there the names stay undefined.
  if(NOT (CMAKE_C_COMPILER_ID MATCHES "Clang" AND SBX_SANITIZE))
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
endfunction()
