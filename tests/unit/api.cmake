# Tests of libsbx's calls against the fixture provider. Each cmocka test is a ctest of its own.
set(SBX_DIRECT_DIR "${CMAKE_CURRENT_BINARY_DIR}/direct")
add_custom_target(sbx_direct ALL)
function(sbx_direct name)
  add_library(sbx_direct_${name} MODULE "${PROJECT_SOURCE_DIR}/tests/fixtures/direct_plugin.c"
    "${PROJECT_SOURCE_DIR}/tests/fixtures/direct_exec.c" "${PROJECT_SOURCE_DIR}/tests/fixtures/direct_file.c"
    "${PROJECT_SOURCE_DIR}/tests/fixtures/direct_more.c"
    "${PROJECT_SOURCE_DIR}/tests/fixtures/direct_access.c")
  set_target_properties(sbx_direct_${name} PROPERTIES PREFIX "" OUTPUT_NAME "${name}"
    LIBRARY_OUTPUT_DIRECTORY "${SBX_DIRECT_DIR}")
  target_link_libraries(sbx_direct_${name} PRIVATE sbx_options)
  target_compile_definitions(sbx_direct_${name} PRIVATE "DIRECT_ID=\"${name}\"" ${ARGN})
  add_dependencies(sbx_direct sbx_direct_${name})
endfunction()
sbx_direct(direct)
sbx_direct(direct-serial DIRECT_SERIAL)
sbx_direct(direct-bare DIRECT_BARE)
sbx_direct(direct-bare-serial DIRECT_BARE DIRECT_SERIAL)

function(sbx_api_test name library)
  add_executable(${name} "${CMAKE_CURRENT_LIST_DIR}/${name}.c")
  target_link_libraries(${name} PRIVATE sbx_options ${library} cmocka pthread)
  target_compile_definitions(${name} PRIVATE DIRECT_DIR="${SBX_DIRECT_DIR}" SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  add_dependencies(${name} sbx_direct sbx_archive)
  sbx_tests_of(cases "${CMAKE_CURRENT_LIST_DIR}/${name}.c")
  foreach(case IN LISTS cases)
    add_test(NAME ${case} COMMAND ${name} ${case})
    set_tests_properties(${case} PROPERTIES TIMEOUT 60 SKIP_RETURN_CODE 77)
  endforeach()
endfunction()
foreach(test access api border edges emulate file job op record route snapshot tar tools tree tunnel)
  sbx_api_test(test_${test} sbx)
endforeach()
# These look inside of libsbx.
sbx_api_test(test_gc sbx_static)
sbx_api_test(test_api_memory sbx_objects)
foreach(function malloc calloc realloc strdup)
  target_link_options(test_api_memory PRIVATE -Wl,--wrap=${function})
endforeach()
# Memory is measured: not under valgrind.
set_tests_properties(big_tree_travels_in_bounded_memory undispatched_output_is_bounded_and_stops_nothing_else
  PROPERTIES LABELS memory)
set(SBX_EXAMPLE_FLAGS "")
if(SBX_SANITIZE)
  list(APPEND SBX_EXAMPLE_FLAGS "-fsanitize=${SBX_SANITIZE}")
endif()
add_test(NAME libsbx_man_page_lists_the_functions_and_its_example_runs
  COMMAND sh "${CMAKE_CURRENT_LIST_DIR}/man_libsbx.sh" "${PROJECT_BINARY_DIR}" "${PROJECT_SOURCE_DIR}"
    "${CMAKE_C_COMPILER}" ${SBX_EXAMPLE_FLAGS})
set_tests_properties(libsbx_man_page_lists_the_functions_and_its_example_runs PROPERTIES TIMEOUT 60 LABELS static)
