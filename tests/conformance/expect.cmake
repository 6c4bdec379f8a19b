# Runs a program that must fail in one way: with this exit status, and saying this.
#
#   cmake -DSTATUS=2 -DSAID=REGEX -P expect.cmake -- PROGRAM ARGUMENT...
#
# ctest's PASS_REGULAR_EXPRESSION would do without the exit status.
set(command)
set(begun FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(begun)
    list(APPEND command "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(begun TRUE)
  endif()
endforeach()

execute_process(COMMAND ${command} RESULT_VARIABLE status OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
message("${output}")
if(NOT status STREQUAL STATUS)
  message(FATAL_ERROR "exit status ${status}, not ${STATUS}")
endif()
if(NOT output MATCHES "${SAID}")
  message(FATAL_ERROR "not said: ${SAID}")
endif()
