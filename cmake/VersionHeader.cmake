# Run by the build (see Version.cmake): writes HEADER from VERSION and `git describe` in SOURCE.
set(description "")
if(GIT AND EXISTS "${SOURCE}/.git")
    execute_process(COMMAND "${GIT}" -c safe.directory=* describe --always --tags --abbrev=10
        WORKING_DIRECTORY "${SOURCE}"
        OUTPUT_VARIABLE description OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(WRITE "${HEADER}" "// Written by cmake/VersionHeader.cmake.
#define GEMINGA_VERSION \"${VERSION}\"
#define GEMINGA_VERSION_GIT \"${description}\"
")
