# Checks that are part of the build, and the targets that format and lint.
find_package(Python3 3.9 COMPONENTS Interpreter)

set(GEMINGA_FOLDERS runtime proto meta bookie client broker cli tests)
list(TRANSFORM GEMINGA_FOLDERS PREPEND "${CMAKE_SOURCE_DIR}/" OUTPUT_VARIABLE roots)
list(TRANSFORM roots APPEND "/*.[ch]" OUTPUT_VARIABLE patterns)
file(GLOB_RECURSE GEMINGA_C_FILES CONFIGURE_DEPENDS ${patterns})
list(TRANSFORM roots APPEND "/CMakeLists.txt" OUTPUT_VARIABLE patterns)
file(GLOB_RECURSE lists CONFIGURE_DEPENDS ${patterns})

# The stamp is older than a changed source, so a violation fails the very build that brings it in.
if(GEMINGA_CHECKS AND NOT Python3_FOUND)
    message(FATAL_ERROR "The checks of the build need Python 3.9 or newer.\n"
        "On Debian: apt-get install python3   (or configure with -DGEMINGA_CHECKS=OFF)")
endif()
if(GEMINGA_CHECKS)
    set(stamp "${CMAKE_BINARY_DIR}/checks.stamp")
    set(tools "${CMAKE_SOURCE_DIR}/tools")
    add_custom_command(OUTPUT "${stamp}"
        COMMAND Python3::Interpreter "${tools}/check_includes.py" "${CMAKE_SOURCE_DIR}"
        COMMAND Python3::Interpreter "${tools}/check_style.py" "${CMAKE_SOURCE_DIR}"
        COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
        DEPENDS ${GEMINGA_C_FILES} ${lists} "${tools}/check_includes.py" "${tools}/check_style.py"
            "${tools}/source.py"
        COMMENT "Checking includes and style" VERBATIM)
    add_custom_target(checks ALL DEPENDS "${stamp}")
endif()

find_program(CLANG_FORMAT NAMES clang-format-14 clang-format)
find_program(RUN_CLANG_TIDY NAMES run-clang-tidy-14 run-clang-tidy)
if(CLANG_FORMAT AND GEMINGA_C_FILES)
    add_custom_target(format COMMAND "${CLANG_FORMAT}" -i ${GEMINGA_C_FILES} VERBATIM)
    add_custom_target(format-check
        COMMAND "${CLANG_FORMAT}" --dry-run --Werror ${GEMINGA_C_FILES} VERBATIM)
endif()
if(RUN_CLANG_TIDY)
    add_custom_target(tidy
        COMMAND "${RUN_CLANG_TIDY}" -quiet -p "${CMAKE_BINARY_DIR}"
            -extra-arg=-Wno-unknown-warning-option  # the build may be gcc's
            -extra-arg=-Wno-ignored-optimization-argument
            "${CMAKE_SOURCE_DIR}/.*\\.c$"
        VERBATIM USES_TERMINAL)
endif()
