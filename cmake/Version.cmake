# The version of the program: the project's, and what git says of the checkout. Only the one
# generated header changes with a commit, so a commit rebuilds the one file that includes it.
function(gem_version_header target)
    set(header "${CMAKE_BINARY_DIR}/generated/cli/version_generated.h")
    set(head "")
    find_package(Git QUIET)
    if(GIT_FOUND)
        execute_process(
            COMMAND "${GIT_EXECUTABLE}" rev-parse --path-format=absolute --git-path logs/HEAD
            WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}"
            OUTPUT_VARIABLE head OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
    if(NOT EXISTS "${head}")
        set(head "")
    endif()
    add_custom_command(OUTPUT "${header}"
        COMMAND "${CMAKE_COMMAND}" -DVERSION=${PROJECT_VERSION} -DGIT=${GIT_EXECUTABLE}
            -DSOURCE=${CMAKE_SOURCE_DIR} -DHEADER=${header}
            -P "${CMAKE_SOURCE_DIR}/cmake/VersionHeader.cmake"
        DEPENDS ${head} "${CMAKE_SOURCE_DIR}/cmake/VersionHeader.cmake"
            "${CMAKE_SOURCE_DIR}/CMakeLists.txt"
        COMMENT "Writing the version header" VERBATIM)
    target_sources(${target} PRIVATE "${header}")
endfunction()
