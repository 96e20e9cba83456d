#!/bin/sh
# Sets up everything Timbrescope needs on this machine, and nothing twice: system packages (libfluidsynth, a General
# MIDI SoundFont, redis-server), a virtual environment in .venv, and the pinned Python packages. A second call takes a
# fraction of a second and needs no network. PYTHON=... chooses the interpreter. `setup.sh browser` sets up chromium
# as well, which nothing but the tests of the page needs.
set -eu
cd "$(dirname "$0")/.."

VENV=.venv
STAMP=$VENV/.timbrescope-setup
WITH_BROWSER=
[ "${1:-}" != browser ] || WITH_BROWSER=yes

say() { printf '%s\n' "timbrescope setup: $*"; }
die() { printf '%s\n' "timbrescope setup: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "root rights are needed for: $* (run it as root, then call this again)"
    fi
}

# ---------------------------------------------------------------------------------------------- system packages

have_fluidsynth() {
    PATH=$PATH:/usr/sbin:/sbin
    if have ldconfig && ldconfig -p 2>/dev/null | grep -q 'libfluidsynth\.so'; then
        return 0
    fi
    for library in /opt/homebrew/lib/libfluidsynth*.dylib /usr/local/lib/libfluidsynth*; do
        [ -e "$library" ] && return 0
    done
    return 1
}

have_soundfont() { # the bank that ml.synthesis.soundfonts looks for, where it looks
    folders="$(printf '%s' "${TIMBRESCOPE_SOUNDFONT_PATH:-}" | tr ':' ' ') /usr/share/sounds/sf2 /usr/share/sounds/sf3
        /usr/share/soundfonts /usr/local/share/soundfonts /opt/homebrew/share/soundfonts"
    for folder in $folders; do
        for font in "$folder"/FluidR3_GM.sf2 "$folder"/FluidR3_GM.sf3 "$folder"/FluidR3_GM/; do
            [ -e "$font" ] && return 0
        done
    done
    return 1
}

have_browser() { # where tests/integration/page/conftest.py looks
    have chromium || have chromium-browser || have google-chrome || [ -e /Applications/Chromium.app ]
}

usable_python() { # an interpreter that is new enough for the code and known to the libraries
    have "$1" && "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
        if usable_python "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

apt_packages() { # what is missing here, by Debian's names
    have_fluidsynth || echo libfluidsynth3
    have_soundfont || echo fluid-soundfont-gm
    have redis-server || echo redis-server
    [ -z "$WITH_BROWSER" ] || have_browser || echo chromium
    [ -x "$VENV/bin/python" ] && return 0
    if python=$(find_python); then
        can_make_venv "$python" || "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    else
        echo python3 python3-venv
    fi
}

apt_install() {
    say "installing with apt-get: $*"
    as_root apt-get update -q || say "apt-get update reported errors; going on with the package lists that are there"
    # Debian starts a freshly installed redis-server as a service. Timbrescope runs its own, so keep that one off.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" ||
        die "apt-get could not install: $*"
    case " $* " in
        *" redis-server "*)
            if [ -d /run/systemd/system ]; then as_root systemctl disable -q redis-server || true; fi ;;
    esac
}

brew_packages() {
    have_fluidsynth || echo fluid-synth
    have redis-server || echo redis
    [ -z "$WITH_BROWSER" ] || have_browser || echo chromium
    find_python >/dev/null || echo python@3.13
}

NO_SOUNDFONT="the SoundFont FluidR3_GM is missing: put FluidR3_GM.sf2 into a folder named in TIMBRESCOPE_SOUNDFONT_PATH"

install_system_packages() {
    if have apt-get; then
        missing=$(apt_packages)
        # shellcheck disable=SC2086  # a list of words
        [ -z "$missing" ] || apt_install $missing
    elif have brew; then
        missing=$(brew_packages)
        # shellcheck disable=SC2086
        [ -z "$missing" ] || brew install $missing
        have_soundfont || say "$NO_SOUNDFONT"
    else
        have_fluidsynth || die "libfluidsynth 2 or 3 is missing: install it with this system's package manager"
        have_soundfont || die "$NO_SOUNDFONT"
        have redis-server || die "redis-server is missing: install it with this system's package manager"
        [ -z "$WITH_BROWSER" ] || have_browser || die "chromium is missing: install it with this system's package manager"
    fi
}

# ---------------------------------------------------------------------------------------------- Python packages

fingerprint() { # of all that decides what .venv holds; the folder, since the scripts in it carry absolute paths
    printf '%s ' "$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)"
    pwd
}

make_venv() {
    python=$(find_python) || die "Python 3.11 to 3.14 is needed; PYTHON=/path/to/python3 names one"
    can_make_venv "$python" || die "$python cannot make virtual environments (its ensurepip module is missing)"
    say "making $VENV with $python ($("$python" -V))"
    "$python" -m venv --clear "$VENV"
}

venv_works() {
    [ -x "$VENV/bin/timbrescope" ] || return 1
    read -r first <"$VENV/bin/timbrescope"
    [ "$first" = "#!$PWD/$VENV/bin/python" ] || [ "$first" = "#!$PWD/$VENV/bin/python3" ]
}

pip_install() {
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-input -c constraints.txt "$@"
}

install_python_packages() {
    if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(fingerprint)" ] && [ -x "$VENV/bin/timbrescope" ]; then
        return 0
    fi
    venv_works || make_venv
    rm -f "$STAMP"
    say "installing Python packages (a few minutes the first time)"
    # torch first and by itself, so that no other package's wish can decide which one comes
    pip_install "$(grep '^torch==' constraints.txt)"
    pip_install "$(grep '^setuptools==' constraints.txt)"
    pip_install --no-build-isolation -e '.[ml,dev]'
    say "compiling what computes, so that the first worker need not"
    "$VENV/bin/python" -c 'from worker.pool import make_ready_to_fork; from worker.settings import WorkerSettings
make_ready_to_fork(WorkerSettings())'
    fingerprint >"$STAMP"
    say "done: $VENV/bin/timbrescope"
}

install_system_packages
install_python_packages
