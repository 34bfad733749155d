# Libraries of the system, each behind one target gem::NAME. A missing one is named by its Debian
# package. What each is for: docs/dependencies.md.
find_package(Threads REQUIRED)

function(gem_find name package header library)
    string(TOUPPER "GEMINGA_${name}" prefix)
    find_path(${prefix}_INCLUDE "${header}")
    find_library(${prefix}_LIBRARY "${library}")
    mark_as_advanced(${prefix}_INCLUDE ${prefix}_LIBRARY)
    if(NOT ${prefix}_INCLUDE OR NOT ${prefix}_LIBRARY)
        if("OPTIONAL" IN_LIST ARGN)
            return()
        endif()
        message(FATAL_ERROR
            "Geminga needs ${name}: <${header}> and lib${library} were not found.\n"
            "On Debian: apt-get install ${package}   (./run and ./test install what is missing)")
    endif()
    add_library(gem::${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(gem::${name} PROPERTIES
        IMPORTED_LOCATION "${${prefix}_LIBRARY}"
        INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${${prefix}_INCLUDE}")
endfunction()

gem_find(nng libnng-dev nng/nng.h nng)
gem_find(rocksdb librocksdb-dev rocksdb/c.h rocksdb)
gem_find(lz4 liblz4-dev lz4.h lz4)
gem_find(mbedtls libmbedtls-dev mbedtls/ssl.h mbedtls)
if(NOT GEMINGA_SANITIZE)
    gem_find(jemalloc libjemalloc-dev jemalloc/jemalloc.h jemalloc)
endif()

if(GEMINGA_TESTS STREQUAL "AUTO")
    gem_find(criterion libcriterion-dev criterion/criterion.h criterion OPTIONAL)
elseif(GEMINGA_TESTS)
    gem_find(criterion libcriterion-dev criterion/criterion.h criterion)
endif()
if(GEMINGA_TESTS AND TARGET gem::criterion)
    set(GEMINGA_HAS_TESTS TRUE)
else()
    set(GEMINGA_HAS_TESTS FALSE)
    message(STATUS "Tests are not built: GEMINGA_TESTS=${GEMINGA_TESTS}, and Criterion "
        "(libcriterion-dev) is needed. ./test installs it.")
endif()
