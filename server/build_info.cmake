# Writes OUTPUT, a header with the release and the commit being built. Run at every build; the
# file is touched only when it changes, so that nothing is compiled again without need.
execute_process(COMMAND git -C ${SOURCE_DIR} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE commit RESULT_VARIABLE result ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT result EQUAL 0)
  set(commit unknown)
endif()
set(text "#pragma once\n#define GAVEL_BUILD_VERSION \"${VERSION}\"\n")
string(APPEND text "#define GAVEL_BUILD_COMMIT \"${commit}\"\n")
set(previous "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} previous)
endif()
if(NOT previous STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
