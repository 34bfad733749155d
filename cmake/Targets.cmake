# How a folder declares what it builds. Every source is listed by name, next to its folder.
#
#   gem_library(gem_proto SOURCES wire.c … DEPENDS gem_runtime)
#   gem_unit_test(runtime SOURCES test_slab.c … DEPENDS gem_runtime)
#   gem_sim_test(cluster SOURCES test_cluster.c … DEPENDS gem_sim [TIMEOUT 300])
#   gem_fuzz_target(frame SOURCES fuzz_frame.c DEPENDS gem_proto [RUNS 20000])
#   gem_bench(runtime SOURCES bench_runtime.c … DEPENDS gem_runtime)
#
# The test helpers also register with ctest and in suites.txt, which tools/run_suites.py reads.
include(CTest)

# A static library. Outside runtime/ and tests/, runtime/banned.h comes in front of every file.
function(gem_library name)
    cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
    add_library(${name} STATIC ${arg_SOURCES})
    target_compile_options(${name} PRIVATE ${GEMINGA_WARNINGS})
    gem_link(${name} ${arg_DEPENDS})
    cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY "${CMAKE_SOURCE_DIR}"
        OUTPUT_VARIABLE folder)
    if(NOT folder MATCHES "^(runtime|tests)(/|$)")
        gem_ban_calls(${name})
    endif()
endfunction()

# Puts runtime/banned.h in front of every file of a target.
function(gem_ban_calls name)
    set(banned "${CMAKE_SOURCE_DIR}/runtime/banned.h")
    target_compile_options(${name} PRIVATE -include "${banned}")
    get_target_property(sources ${name} SOURCES)
    set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS "${banned}")
endfunction()

function(gem_link name)
    target_link_libraries(${name} PUBLIC ${ARGN})
endfunction()

# Enters those subfolders that exist.
function(gem_folders)
    foreach(folder IN LISTS ARGN)
        if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt")
            add_subdirectory(${folder})
        endif()
    endforeach()
endfunction()

function(gem_program name folder)
    add_executable(${name} ${ARGN})
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/${folder}")
    target_compile_options(${name} PRIVATE ${GEMINGA_WARNINGS})
    target_link_options(${name} PRIVATE -Wl,-z,relro,-z,now)
endfunction()

# kind, name, timeout in seconds, then the program and its arguments.
function(gem_suite kind name timeout target)
    list(JOIN ARGN "\t" arguments)
    set_property(GLOBAL APPEND_STRING PROPERTY GEMINGA_SUITES
        "${kind}\t${name}\t${timeout}\t$<TARGET_FILE:${target}>\t${arguments}\n")
    add_test(NAME ${kind}/${name} COMMAND ${target} ${ARGN} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
    set_tests_properties(${kind}/${name} PROPERTIES TIMEOUT ${timeout} LABELS ${kind})
endfunction()

function(gem_write_suites)
    get_property(suites GLOBAL PROPERTY GEMINGA_SUITES)
    file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/suites.txt" CONTENT "${suites}")
endfunction()

# A Criterion program. Criterion's process isolation cannot run under ThreadSanitizer, so there
# tests/unit/tsan_runner.c replaces its main.
function(gem_criterion_test kind name timeout)
    cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
    if(NOT GEMINGA_HAS_TESTS)
        return()
    endif()
    if(arg_TIMEOUT)
        set(timeout ${arg_TIMEOUT})
    endif()
    set(target ${kind}_${name})
    gem_program(${target} tests/${kind} ${arg_SOURCES})
    gem_link(${target} ${arg_DEPENDS} gem_test_lib)
    if(GEMINGA_SANITIZE STREQUAL "thread")
        target_sources(${target} PRIVATE "${CMAKE_SOURCE_DIR}/tests/unit/tsan_runner.c")
    endif()
    target_link_libraries(${target} PRIVATE gem::criterion)
    gem_suite(${kind} ${name} ${timeout} ${target})
endfunction()

function(gem_unit_test name)
    gem_criterion_test(unit ${name} 120 ${ARGN})
endfunction()

function(gem_sim_test name)
    gem_criterion_test(sim ${name} 300 ${ARGN})
endfunction()

# In the fuzz build a libFuzzer program. In all others the same target replays its corpus
# (tests/fuzz/corpus/NAME) and then RUNS seeded mutations of it, so it is a test anywhere.
function(gem_fuzz_target name)
    cmake_parse_arguments(arg "" "RUNS;TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
    if(NOT arg_RUNS)
        set(arg_RUNS 20000)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    gem_program(fuzz_${name} tests/fuzz ${arg_SOURCES})
    gem_link(fuzz_${name} ${arg_DEPENDS} gem_test_lib)
    set(corpus "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}")
    if(GEMINGA_SANITIZE STREQUAL "fuzz")
        # libFuzzer adds what it finds to the first folder, so that one is the build's.
        set(found "${CMAKE_BINARY_DIR}/corpus/${name}")
        file(MAKE_DIRECTORY "${found}")
        if(NOT EXISTS "${corpus}")
            set(corpus "")
        endif()
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        gem_suite(fuzz ${name} ${arg_TIMEOUT} fuzz_${name}
            -seed=1 -runs=${arg_RUNS} "${found}" ${corpus})
    else()
        target_sources(fuzz_${name} PRIVATE "${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.c")
        gem_suite(fuzz ${name} ${arg_TIMEOUT} fuzz_${name} --seed=1 --runs=${arg_RUNS} "${corpus}")
    endif()
endfunction()

# A benchmark: BUILD/bench/bench_NAME, started by ./bench NAME.
function(gem_bench name)
    cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
    gem_program(bench_${name} bench ${arg_SOURCES})
    target_link_options(bench_${name} PRIVATE ${GEMINGA_LTO_LINK})
    gem_link(bench_${name} ${arg_DEPENDS})
endfunction()
