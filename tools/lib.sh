# Shared by ./run, ./test, ./bench and .ci/run: what must be installed, configuring, building.
# Sourced with the working directory at the root of the tree.

packages_build=(gcc libc6-dev cmake ninja-build python3 uthash-dev
    libnng-dev librocksdb-dev liblz4-dev libmbedtls-dev libjemalloc-dev)
packages_test=(libcriterion-dev python3-venv curl openssl default-jre-headless maven)
packages_interop=(default-jdk-headless maven libzookeeper-mt-dev)
packages_bench=(fio strace)
packages_clang=(clang lld llvm libclang-rt-14-dev)
packages_lint=(clang-format clang-tidy)

say() { printf '%s\n' "$*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Installs those of the named Debian packages that are missing; touches no network when none is.
install_missing() {
    if ! command -v dpkg-query >/dev/null; then
        say "Not a Debian system: the Debian names of what is needed are: $*"
        return 0
    fi
    local package missing=()
    for package in "$@"; do
        [[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] ||
            missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    local as_root=()
    if [[ $EUID -ne 0 ]]; then
        command -v sudo >/dev/null ||
            die "missing packages, and neither root nor sudo to install them:" \
                "as root, run: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    say "Installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -q ||
        say "apt-get update failed; trying with the package lists at hand"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}" ||
        die "apt-get could not install: ${missing[*]}"
}

# Where a preset builds.
build_dir() {
    if [[ $1 == release ]]; then say build; else say "build/$1"; fi
}

packages_of_preset() {
    case $1 in
        release | debug | asan | tsan) ;;
        clang | fuzz) printf '%s\n' "${packages_clang[@]}" ;;
        *) die "unknown preset '$1': say release, debug, asan, tsan, clang or fuzz" ;;
    esac
}

# configure PRESET [-DNAME=VALUE …]: runs CMake unless this very configuration is there already.
# Later changes to a CMakeLists.txt are ninja's to notice.
configure() {
    local dir stamp
    dir=$(build_dir "$1")
    stamp="$dir/configured.txt"
    # A tree that was moved or copied with its build folder starts again from nothing.
    if [[ -f $dir/CMakeCache.txt ]] &&
        ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$dir/CMakeCache.txt"; then
        rm -rf "$dir/CMakeCache.txt" "$dir/CMakeFiles" "$stamp"
    fi
    if [[ -f $dir/build.ninja && -f $stamp ]]; then
        [[ $# -gt 1 ]] && ! grep -qxF -- "$*" "$stamp" || return 0
    fi
    mkdir -p "$dir"
    rm -f "$stamp"
    cmake --preset "$@" >"$dir/configure.log" 2>&1 || {
        cat "$dir/configure.log" >&2
        return 1
    }
    say "$*" >"$stamp"
}

# build PRESET [TARGET …]: says so when there was nothing to do.
build() {
    local dir log
    dir=$(build_dir "$1")
    log="$dir/build.log"
    ninja -C "$dir" -j "${GEMINGA_JOBS:-$(nproc)}" "${@:2}" 2>&1 | tee "$log" ||
        return 1
    if grep -q 'no work to do' "$log"; then say "$dir is up to date: nothing was rebuilt."; fi
}
