# Registers the scenario tests (<name>_test.py), the kill tests (<name>_kill_test.py, two shards each so that they
# run side by side), and the checks of the sources. A scenario file prints its own cases' numbers for the summary.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

add_executable(kill_at ${CMAKE_CURRENT_SOURCE_DIR}/support/kill_at.cpp ${CMAKE_CURRENT_SOURCE_DIR}/support/tracer.cpp)
add_executable(fail_at ${CMAKE_CURRENT_SOURCE_DIR}/support/fail_at.cpp ${CMAKE_CURRENT_SOURCE_DIR}/support/tracer.cpp)

function(kesu_scenario name file)
  cmake_parse_arguments(ARG "" "SHARD;LABEL;COST" "" ${ARGN})
  add_test(NAME ${name} COMMAND ${Python3_EXECUTABLE} -B ${file})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 900 SKIP_RETURN_CODE 77 COST ${ARG_COST}
    ENVIRONMENT "KESU_BIN_DIR=${CMAKE_BINARY_DIR}/bin;KESU_SHARD=${ARG_SHARD}")
endfunction()

file(GLOB scenarios CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cli/*_test.py)
foreach(file ${scenarios})
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "_test$" "" name ${name})
  if(name MATCHES "_kill$")
    # The longest tests start first.
    kesu_scenario(kill/${name}-1of2 ${file} SHARD 0/2 LABEL kill COST 1000)
    kesu_scenario(kill/${name}-2of2 ${file} SHARD 1/2 LABEL kill COST 1000)
  else()
    kesu_scenario(cli/${name} ${file} SHARD 0/1 LABEL cli COST 100)
  endif()
endforeach()

add_test(NAME check/layers COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/scripts/check-layers)
add_test(NAME check/layers-self-test
         COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/scripts/check-layers --self-test)
add_test(NAME check/size COMMAND ${CMAKE_SOURCE_DIR}/scripts/check-size)
add_test(NAME check/format COMMAND ${CMAKE_SOURCE_DIR}/scripts/format --check)
set_tests_properties(check/layers check/layers-self-test check/size check/format PROPERTIES LABELS check TIMEOUT 300
                     SKIP_RETURN_CODE 77)
